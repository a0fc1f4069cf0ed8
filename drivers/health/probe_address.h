// What a probe may connect to, read again with suspicion: the unit parser has accepted the text, but variables
// have been expanded in it since.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "reconcile/base/error.h"

namespace gitproc {

inline constexpr std::size_t probe_url_limit_bytes = 8192;

struct ProbeAddress {
  std::string host;  // a name or an IP literal, IPv6 without brackets
  std::uint16_t port = 0;

  bool operator==(const ProbeAddress&) const = default;
};

// "HOST:PORT", "[::1]:80", with or without "tcp://". Error `invalid`.
Result<ProbeAddress> parse_tcp_address(std::string_view text);

// Whether this is an http:// or https:// URL with a host, and neither blanks nor control characters. Error `invalid`.
Result<void> check_http_url(std::string_view url);

}  // namespace gitproc
