#include "drivers/health/probe_address.h"

#include <algorithm>
#include <optional>

#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_';
}

// In brackets: hexadecimal digits, colons, a dotted tail, and a zone ("fe80::1%eth0").
bool is_literal_character(char c) { return is_host_character(c) || c == ':' || c == '%'; }

std::unexpected<Error> refuse(std::string_view text) {
  return fail("cannot probe '" + printable(text) + "': not an address", ErrorCode::invalid);
}

// Takes "HOST" or "[LITERAL]" from the front of `text`; "" where there is none.
std::string_view take_host(std::string_view& text) {
  bool is_literal = text.starts_with('[');
  std::size_t end = is_literal ? text.find(']') : text.find_first_of(":/?#");
  if (is_literal && end == std::string_view::npos) return {};
  std::string_view host = is_literal ? text.substr(1, end - 1) : text.substr(0, end);
  if (!std::all_of(host.begin(), host.end(), is_literal ? is_literal_character : is_host_character))
    return {};
  text.remove_prefix(std::min(text.size(), is_literal ? end + 1 : host.size()));
  return host;
}

std::optional<std::uint16_t> parse_port(std::string_view digits) {
  auto port = parse_number<std::uint16_t>(digits);
  return port != 0 ? port : std::nullopt;
}

}  // namespace

Result<ProbeAddress> parse_tcp_address(std::string_view text) {
  static constexpr std::string_view scheme = "tcp://";
  std::string_view rest = text;
  if (rest.size() > probe_url_limit_bytes) return refuse(text);
  if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  std::string_view host = take_host(rest);
  if (host.empty() || !rest.starts_with(':')) return refuse(text);
  std::optional<std::uint16_t> port = parse_port(rest.substr(1));
  if (!port) return refuse(text);
  return ProbeAddress{std::string(host), *port};
}

Result<void> check_http_url(std::string_view url) {
  std::string_view rest = url;
  auto take = [&rest](std::string_view prefix) {
    bool is_there = rest.starts_with(prefix);
    if (is_there) rest.remove_prefix(prefix.size());
    return is_there;
  };
  auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; };
  if (url.size() > probe_url_limit_bytes || std::any_of(url.begin(), url.end(), is_blank)) return refuse(url);
  if (!take("http://") && !take("https://")) return refuse(url);
  // "user:password@" is sent as basic authentication.
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (std::size_t at = authority.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  if (take_host(rest).empty()) return refuse(url);
  if (!rest.starts_with(':'))
    return rest.empty() || rest.find_first_of("/?#") == 0 ? Result<void>{} : refuse(url);
  if (!parse_port(rest.substr(1, rest.find_first_of("/?#") - 1))) return refuse(url);
  return {};
}

}  // namespace gitproc
