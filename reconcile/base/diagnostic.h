// A mistake in a user's file: where it is and what is wrong. All of a file's mistakes come in one pass.
#pragma once

#include <compare>
#include <string>
#include <vector>

namespace gitproc {

enum class Severity { warning, error };

struct Diagnostic {
  std::string file;     // path inside the repository, '/'-separated; "" where the commit as such is meant
  unsigned line = 0;    // from 1; 0 where the whole file is meant
  unsigned column = 0;  // from 1, in bytes; 0 where the whole line is meant
  Severity severity = Severity::error;
  std::string message;

  auto operator<=>(const Diagnostic&) const = default;
};

using Diagnostics = std::vector<Diagnostic>;

// "file:line: severity: message", the form of compilers; without ":line" for a whole file; the message alone where the
// commit as such is meant.
std::string to_string(const Diagnostic& diagnostic);

bool has_errors(const Diagnostics& diagnostics);

}  // namespace gitproc
