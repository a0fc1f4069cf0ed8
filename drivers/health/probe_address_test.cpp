#include "drivers/health/probe_address.h"

#include "testing/catch.h"

using namespace gitproc;

TEST_CASE("a TCP address is a host and a port") {
  CHECK(parse_tcp_address("localhost:80") == ProbeAddress{"localhost", 80});
  CHECK(parse_tcp_address("tcp://10.0.0.1:65535") == ProbeAddress{"10.0.0.1", 65535});
  CHECK(parse_tcp_address("[::1]:5432") == ProbeAddress{"::1", 5432});
  CHECK(parse_tcp_address("[fe80::1%eth0]:1") == ProbeAddress{"fe80::1%eth0", 1});
}

TEST_CASE("what is no TCP address is refused") {
  for (const char* text :
       {"",        ":80",      "host",   "host:",       "host:0",  "host:65536", "host:80x",
        "host:-1", "host: 80", "::1:80", "[::1]",       "[::1:80", "[]:80",      "[::1]x:80",
        "a b:80",  "a/b:80",   "u@h:80", "http://h:80", "h:80/",   "h:+80",      "[::1\n]:80"}) {
    INFO(text);
    CHECK_FALSE(parse_tcp_address(text));
  }
  CHECK_FALSE(parse_tcp_address(std::string(probe_url_limit_bytes, 'a') + ":80"));
  CHECK(parse_tcp_address("a\nb:1").error() ==
        Error{"cannot probe 'a\\x0ab:1': not an address", ErrorCode::invalid});
}

TEST_CASE("an HTTP URL has a scheme of ours, a host and no surprises") {
  for (const char* url :
       {"http://localhost", "https://localhost/", "http://127.0.0.1:8080/healthz?x=1#y", "http://[::1]:80/",
        "http://[::1]", "http://user:secret@host/", "http://host?q", "http://a_b:1"}) {
    INFO(url);
    CHECK(check_http_url(url));
  }
  for (const char* url :
       {"", "http://", "http:///x", "ftp://host/", "file:///etc/passwd", "localhost:80", "http://host:0/",
        "http://host:99999/", "http://host:/", "http://ho st/", "http://host/\r\nX: y", "http://[::1/",
        "http://@/", "http://host\\x/", "HTTP//host", "http://[::1]x/"}) {
    INFO(url);
    CHECK_FALSE(check_http_url(url));
  }
}
