// Cuts a byte stream into lines. However the stream is split into pieces, the lines are the same. An empty line is
// one, too: who sent it waits for an answer. A CR before the LF is dropped. A line longer than the limit ends the
// stream: its start is lost, so nothing that follows could be trusted to be a message.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace gitproc {

inline constexpr std::size_t max_request_bytes = 1u << 20;  // without the line's end

class LineFramer {
 public:
  explicit LineFramer(std::size_t limit_bytes = max_request_bytes) : limit_bytes_(limit_bytes) {}

  // Takes the next bytes of the stream; take the lines out with next() before feeding more, or they pile up.
  void feed(std::string_view bytes);

  // The next complete line; nullopt when more bytes are needed, or is_overlong().
  std::optional<std::string> next();

  // All lines before the one that is too long were given out; nothing more will come.
  bool is_overlong() const { return is_overlong_; }

  // Bytes of a line whose end has not come yet.
  std::size_t pending_bytes() const { return buffer_.size() - start_; }

 private:
  std::size_t limit_bytes_;
  std::string buffer_;
  std::size_t start_ = 0;    // of the line that is being collected
  std::size_t scanned_ = 0;  // no line end between start_ and here
  bool is_overlong_ = false;
};

}  // namespace gitproc
