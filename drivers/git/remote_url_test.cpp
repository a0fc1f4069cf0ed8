#include "drivers/git/remote_url.h"

#include "testing/catch.h"

using namespace gitproc;

namespace {

std::string fault_of(std::string_view text) {
  Result<RemoteUrl> url = parse_remote_url(text);
  return url ? "" : url.error().message;
}

}  // namespace

TEST_CASE("every form of a remote's address is told apart") {
  CHECK(parse_remote_url("https://example.org/x.git")->transport == RemoteTransport::https);
  CHECK(parse_remote_url("http://127.0.0.1:8080/x.git")->host == "127.0.0.1");
  CHECK(parse_remote_url("ssh://git@[::1]:22/x")->host == "::1");
  CHECK(parse_remote_url("ssh://git@[::1]:22/x")->user == "git");
  CHECK(parse_remote_url("git@example.org:team/x.git")->transport == RemoteTransport::ssh);
  CHECK(parse_remote_url("git@example.org:team/x.git")->host == "example.org");
  CHECK(parse_remote_url("git://localhost/x")->transport == RemoteTransport::git);
  CHECK(parse_remote_url("file:///srv/my%20repo")->path == "/srv/my repo");
  CHECK(parse_remote_url("/srv/x.git")->path == "/srv/x.git");
}

TEST_CASE("an address that is none is refused with the reason") {
  CHECK(fault_of("") == "it is empty");
  CHECK(fault_of("ftp://example.org/x") == "its scheme is none of https, http, ssh, git and file");
  CHECK(fault_of("https://example.org") == "it names no repository");
  CHECK(fault_of("https:///x") == "it names no host");
  CHECK(fault_of("ssh://-oProxyCommand=x/y") == "its host begins with '-'");
  CHECK(fault_of("https://example.org:http/x") == "its port is no number");
  CHECK(fault_of("https://example.org/a b") == "it holds a blank or a control character");
  CHECK(fault_of("some/folder") == "it is neither a URL, nor user@host:path, nor an absolute path");
  CHECK(fault_of("file://host/x") == "a file:// URL must hold an absolute path");
}

TEST_CASE("only this machine is loopback") {
  for (const char* text :
       {"http://127.0.0.1/x", "http://127.8.9.10:1/x", "git://localhost/x", "http://[::1]/x", "/x"})
    CHECK(parse_remote_url(text)->is_loopback());
  for (const char* text : {"http://127.0.0.1.example.org/x", "http://10.0.0.1/x", "http://localhost.evil/x",
                           "http://127.0.0.1@evil/x", "http://127.1/x"})
    CHECK_FALSE(parse_remote_url(text)->is_loopback());
}

TEST_CASE("a password in an address is never shown") {
  RemoteUrl url = *parse_remote_url("https://ada:s%40cret@example.org/x.git");
  CHECK(url.password == "s@cret");
  CHECK(url.shown() == "https://ada:***@example.org/x.git");
  CHECK(redacted("cannot get https://ada:s%40cret@example.org/x.git with s@cret", url) ==
        "cannot get https://ada:***@example.org/x.git with ***");
  CHECK(parse_remote_url("https://ada@example.org/x.git")->shown() == "https://ada@example.org/x.git");
}
