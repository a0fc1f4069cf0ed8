#include "drivers/git/remote_url.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

struct Scheme {
  std::string_view prefix;
  RemoteTransport transport;
};
constexpr std::array<Scheme, 6> schemes{{{"https://", RemoteTransport::https},
                                         {"http://", RemoteTransport::http},
                                         {"ssh://", RemoteTransport::ssh},
                                         {"git+ssh://", RemoteTransport::ssh},
                                         {"git://", RemoteTransport::git},
                                         {"file://", RemoteTransport::local}}};

std::optional<Scheme> scheme_of(std::string_view text) {
  for (const Scheme& scheme : schemes) {
    if (text.starts_with(scheme.prefix)) return scheme;
  }
  return std::nullopt;
}

// "%2F" is "/": what a URL says of user and password.
std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto digit = [&](std::size_t at) {
      char c = static_cast<char>(std::tolower(static_cast<unsigned char>(text[at])));
      return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    if (text[i] == '%' && i + 2 < text.size() && digit(i + 1) >= 0 && digit(i + 2) >= 0) {
      decoded += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::unexpected<Error> invalid(std::string why) { return fail(std::move(why), ErrorCode::invalid); }

// [user[:password]@]host[:port]
Result<void> read_authority(std::string_view authority, RemoteUrl& url) {
  if (std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    std::string_view login = authority.substr(0, at);
    std::size_t colon = login.find(':');
    url.user = percent_decoded(login.substr(0, colon));
    if (colon != std::string_view::npos) url.password = percent_decoded(login.substr(colon + 1));
    authority.remove_prefix(at + 1);
  }
  std::size_t host_end = authority.starts_with('[') ? authority.find(']') : authority.find(':');
  bool is_bracketed = authority.starts_with('[');
  if (is_bracketed && host_end == std::string_view::npos) return invalid("its host has no closing ']'");
  url.host =
      authority.substr(is_bracketed, host_end == std::string_view::npos ? host_end : host_end - is_bracketed);
  if (url.host.empty()) return invalid("it names no host");
  // libssh2 and git:// hand the host on as they are; an option or a blank has no place in it.
  if (url.host.starts_with('-')) return invalid("its host begins with '-'");
  std::string_view rest =
      host_end == std::string_view::npos ? std::string_view() : authority.substr(host_end + is_bracketed);
  if (rest.empty()) return {};
  if (!rest.starts_with(':') || !is_port(rest.substr(1))) return invalid("its port is no number");
  return {};
}

}  // namespace

bool RemoteUrl::is_loopback() const {
  if (transport == RemoteTransport::local || host == "localhost" || host == "::1") return true;
  bool is_address = host.find_first_not_of("0123456789.") == std::string::npos;
  return is_address && host.starts_with("127.") && std::ranges::count(host, '.') == 3;
}

std::string RemoteUrl::shown() const { return password.empty() ? text : redacted(text, *this); }

Result<RemoteUrl> parse_remote_url(std::string_view text) {
  RemoteUrl url{.text = std::string(text)};
  if (text.empty()) return invalid("it is empty");
  if (text.size() > max_remote_url_bytes) return invalid("it is too long");
  bool is_plain =
      std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > ' ' && c != 0x7f; });
  if (std::optional<Scheme> scheme = scheme_of(text)) {
    if (!is_plain) return invalid("it holds a blank or a control character");
    url.transport = scheme->transport;
    std::string_view rest = text.substr(scheme->prefix.size());
    std::size_t slash = rest.find('/');
    if (url.transport == RemoteTransport::local) {
      if (!rest.starts_with('/')) return invalid("a file:// URL must hold an absolute path");
      url.path = percent_decoded(rest);
      return url;
    }
    if (slash == std::string_view::npos || slash + 1 == rest.size()) return invalid("it names no repository");
    if (Result<void> read = read_authority(rest.substr(0, slash), url); !read)
      return std::unexpected(read.error());
    return url;
  }
  if (text.find("://") != std::string_view::npos) {
    return invalid("its scheme is none of https, http, ssh, git and file");
  }
  if (text.starts_with('/')) {
    url.path = text;
    return url;
  }
  std::size_t colon = text.find(':');
  bool is_scp_like = colon != std::string_view::npos && text.find('/') > colon;
  if (!is_scp_like) return invalid("it is neither a URL, nor user@host:path, nor an absolute path");
  if (!is_plain || colon + 1 == text.size()) return invalid("it names no repository");
  url.transport = RemoteTransport::ssh;
  if (Result<void> read = read_authority(text.substr(0, colon), url); !read)
    return std::unexpected(read.error());
  return url;
}

std::string redacted(std::string message, std::string_view secret) {
  if (secret.empty()) return message;
  constexpr std::string_view mask = "***";
  for (std::size_t at = message.find(secret); at != std::string::npos;
       at = message.find(secret, at + mask.size()))
    message.replace(at, secret.size(), mask);
  return message;
}

std::string redacted(std::string message, const RemoteUrl& url) {
  // As it stands in the URL, and as it is meant.
  if (url.password.empty()) return message;
  std::size_t colon = url.text.find(':', url.text.find("://") + 3);
  std::size_t authority_end = std::min(url.text.find('/', url.text.find("://") + 3), url.text.size());
  std::size_t at = url.text.rfind('@', authority_end);
  if (colon < at && at != std::string::npos)
    message = redacted(std::move(message), url.text.substr(colon + 1, at - colon - 1));
  return redacted(std::move(message), url.password);
}

}  // namespace gitproc
