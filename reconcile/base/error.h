// A fault of the world, as a value: one clause that says what was attempted on what, and no secrets.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace gitproc {

// What a caller may decide by; the words are in the message. The names are the protocol's `code` values.
enum class ErrorCode { failed, invalid, not_found, denied, busy, unavailable };

struct Error {
  std::string message;
  ErrorCode code = ErrorCode::failed;

  bool operator==(const Error&) const = default;
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string message, ErrorCode code = ErrorCode::failed) {
  return std::unexpected(Error{std::move(message), code});
}

}  // namespace gitproc
