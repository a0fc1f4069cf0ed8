// The control socket's input: any split of the stream gives the same messages, and each message is refused or is
// read again as the same request after it was encoded. The first byte tells how large the pieces are.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "agent/protocol/framing.h"
#include "agent/protocol/request.h"

namespace {

using namespace gitproc;

std::vector<std::string> lines_in_pieces(std::string_view stream, std::size_t piece_size) {
  LineFramer framer(256);
  std::vector<std::string> lines;
  while (!stream.empty()) {
    framer.feed(stream.substr(0, piece_size));
    stream.remove_prefix(std::min(piece_size, stream.size()));
    while (std::optional<std::string> line = framer.next())
      lines.push_back(*line);
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  std::string_view stream(reinterpret_cast<const char*>(data + 1), size - 1);
  std::vector<std::string> lines = lines_in_pieces(stream, stream.size());
  if (lines != lines_in_pieces(stream, 1u + data[0])) std::abort();
  for (const std::string& line : lines) {
    auto request = parse_request(line);
    if (request && parse_request(encode_request(*request)) != request) std::abort();
  }
  return 0;
}
