// Where an HTTP server listens: "ADDR:PORT". Without an address it is loopback, so that nothing is open to a network
// that nobody asked for: ":9100" and "9100" mean 127.0.0.1:9100.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "reconcile/base/error.h"

namespace gitproc {

struct ListenAddress {
  std::string host;        // an IPv4 or IPv6 address, without brackets
  std::uint16_t port = 0;  // 0: the kernel chooses one

  bool operator==(const ListenAddress&) const = default;
};

// "127.0.0.1:9100", "[::1]:9100", "localhost:9100", ":9100", "9100". Names but localhost are refused: where an agent
// listens must not depend on a resolver. The error is the end of a sentence: "must be ADDR:PORT, not 'x'".
Result<ListenAddress> parse_listen_address(std::string_view text);

// "127.0.0.1:9100", "[::1]:9100".
std::string to_string(const ListenAddress& address);

}  // namespace gitproc
