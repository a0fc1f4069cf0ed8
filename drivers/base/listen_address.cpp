#include "drivers/base/listen_address.h"

#include <arpa/inet.h>

#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::string_view loopback = "127.0.0.1";

bool is_ip_address(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), address) == 1;
}

}  // namespace

Result<ListenAddress> parse_listen_address(std::string_view text) {
  auto refuse = [&] { return fail("must be ADDR:PORT, not '" + printable(text) + "'", ErrorCode::invalid); };
  std::size_t colon = text.rfind(':');
  std::string_view host = colon == std::string_view::npos ? "" : text.substr(0, colon);
  std::string_view port = colon == std::string_view::npos ? text : text.substr(colon + 1);

  ListenAddress address;
  auto number = parse_number<decltype(address.port)>(port);
  if (!number) return refuse();
  address.port = *number;
  bool is_bracketed = host.size() > 2 && host.starts_with('[') && host.ends_with(']');
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  address.host = host.empty() || host == "localhost" ? loopback : host;
  if (!is_ip_address(address.host) || is_bracketed != (address.host.find(':') != std::string::npos))
    return refuse();
  return address;
}

std::string to_string(const ListenAddress& address) {
  bool is_ipv6 = address.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

}  // namespace gitproc
