// A program of the distribution that is asked something and answers with what it prints: run without privileges,
// network configuration or files of its own, on input that may be hostile. It gets what it needs as files in memory,
// named /dev/fd/3 and so on, and has a bounded time, memory and amount of words.
//
// The answer is its words, never its exit status: whoever else waits for all children of this process (the agent
// does) may have collected that.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "reconcile/base/error.h"

namespace gitproc {

// How long one run may take before it is killed, and how much it may print to each of its two streams.
inline constexpr std::chrono::milliseconds tool_deadline{10'000};
inline constexpr std::size_t max_tool_words_bytes = 64u << 10;
// Runs at one time.
inline constexpr std::size_t parallel_tools = 4;

struct ToolRun {
  std::vector<std::string> arguments;  // without the program's name
  std::string input;                   // what it reads from standard input
  std::vector<std::string> files;      // /dev/fd/3, /dev/fd/4, ...: what is in them
};

struct ToolWords {
  std::string out;
  std::string err;

  bool operator==(const ToolWords&) const = default;
};

// Where a program is, of the usual directories for programs; not_found where it is not installed. The environment has
// no say in it.
Result<std::string> find_tool(const std::string& name);

// Runs `program` once for each of `runs`, some at a time; the results are in their order. Errors: it cannot be
// started, prints too much, or does not end in time.
std::vector<Result<ToolWords>> run_tool(const std::string& program, std::span<const ToolRun> runs,
                                        std::chrono::milliseconds deadline = tool_deadline);

}  // namespace gitproc
