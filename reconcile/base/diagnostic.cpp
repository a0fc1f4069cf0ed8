#include "reconcile/base/diagnostic.h"

#include <algorithm>

namespace gitproc {

std::string to_string(const Diagnostic& diagnostic) {
  if (diagnostic.file.empty()) return diagnostic.message;
  std::string text = diagnostic.file;
  if (diagnostic.line != 0) text += ":" + std::to_string(diagnostic.line);
  text += diagnostic.severity == Severity::error ? ": error: " : ": warning: ";
  return text + diagnostic.message;
}

bool has_errors(const Diagnostics& diagnostics) {
  return std::ranges::any_of(diagnostics, [](const Diagnostic& d) { return d.severity == Severity::error; });
}

}  // namespace gitproc
