#include "agent/protocol/framing.h"

namespace gitproc {

void LineFramer::feed(std::string_view bytes) {
  if (is_overlong_) return;
  // Drop what was given out before growing, so that the buffer never holds more than one line and one piece.
  if (start_ > 0) {
    buffer_.erase(0, start_);
    scanned_ -= start_;
    start_ = 0;
  }
  buffer_.append(bytes);
}

std::optional<std::string> LineFramer::next() {
  if (is_overlong_) return std::nullopt;
  std::size_t end = buffer_.find('\n', scanned_);
  std::size_t length = (end == std::string::npos ? buffer_.size() : end) - start_;
  if (length > limit_bytes_) {
    is_overlong_ = true;
    buffer_ = {};
    start_ = scanned_ = 0;
    return std::nullopt;
  }
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    return std::nullopt;
  }
  if (length > 0 && buffer_[end - 1] == '\r') --length;
  std::string line = buffer_.substr(start_, length);
  start_ = scanned_ = end + 1;
  return line;
}

}  // namespace gitproc
