// The address of a remote, taken apart as far as its safety has to be judged: which transport it is, which host is
// meant, and what of it is secret. The forms are those of git-fetch(1): a URL, user@host:path, or a path.
#pragma once

#include <string>
#include <string_view>

#include "reconcile/base/error.h"

namespace gitproc {

inline constexpr std::size_t max_remote_url_bytes = 2048;

enum class RemoteTransport { https, http, ssh, git, local };

struct RemoteUrl {
  RemoteTransport transport = RemoteTransport::local;
  std::string text;  // as it was given; holds the password, where there is one
  std::string user;
  std::string password;
  std::string host;  // without brackets; "" for local ones
  std::string path;  // of local ones: where the repository is

  // The host is this machine: 127.0.0.0/8, ::1 or localhost.
  bool is_loopback() const;
  // Neither read nor changed by who is on the way.
  bool is_protected() const {
    return transport != RemoteTransport::http && transport != RemoteTransport::git;
  }
  // For people: without password.
  std::string shown() const;
};

// Errors (invalid) never show the password.
Result<RemoteUrl> parse_remote_url(std::string_view text);

// `message` with every secret of the URL replaced.
std::string redacted(std::string message, const RemoteUrl& url);
// The same for any secret; "" is none.
std::string redacted(std::string message, std::string_view secret);

}  // namespace gitproc
