// What must hold of what a fetch worker says, whatever it is: for the fuzzer and for the replay of its corpus.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/git/fetch_message.h"

namespace gitproc {

// nullopt once the worker is not listened to any more.
inline std::optional<std::vector<WorkerMessage>> messages_in_pieces(std::string_view stream,
                                                                    std::size_t piece_bytes) {
  MessageReader reader;
  std::vector<WorkerMessage> messages;
  for (std::size_t at = 0; at < stream.size(); at += piece_bytes) {
    Result<std::vector<WorkerMessage>> more = reader.feed(stream.substr(at, piece_bytes));
    if (!more) return std::nullopt;
    messages.insert(messages.end(), more->begin(), more->end());
  }
  return messages;
}

// "" or what does not hold: any split of the stream gives the same messages, and they are the bytes that were sent.
// The first byte of `input` tells how large the pieces are, the rest is the stream.
inline std::string message_fault(std::string_view input) {
  if (input.empty()) return "";
  std::size_t piece_bytes = 1u + static_cast<unsigned char>(input.front());
  std::string_view stream = input.substr(1);
  auto whole = messages_in_pieces(stream, std::max<std::size_t>(stream.size(), 1));
  if (whole != messages_in_pieces(stream, piece_bytes)) return "pieces are read as something else";
  std::string written;
  for (const WorkerMessage& message : whole.value_or(std::vector<WorkerMessage>{}))
    written += encode(message);
  if (!stream.starts_with(written)) return "written as something else";
  Result<WorkerJob> job = decode_job(stream);
  return !job || encode(*job) == stream ? "" : "a job is written as something else";
}

}  // namespace gitproc
