#include "drivers/base/listen_address.h"

#include "testing/catch.h"

using namespace gitproc;

TEST_CASE("an address to listen on is loopback unless it says otherwise") {
  CHECK(parse_listen_address("9100") == ListenAddress{"127.0.0.1", 9100});
  CHECK(parse_listen_address(":9100") == ListenAddress{"127.0.0.1", 9100});
  CHECK(parse_listen_address("localhost:9100") == ListenAddress{"127.0.0.1", 9100});
  CHECK(parse_listen_address("0.0.0.0:80") == ListenAddress{"0.0.0.0", 80});
  CHECK(parse_listen_address("[::1]:9100") == ListenAddress{"::1", 9100});
  CHECK(to_string(ListenAddress{"::1", 9100}) == "[::1]:9100");
  CHECK(to_string(ListenAddress{"127.0.0.1", 9100}) == "127.0.0.1:9100");
}

TEST_CASE("an address that is none is refused, with its text") {
  for (const char* text : {"", ":", "x", "127.0.0.1", "127.0.0.1:", "host.example:80", "::1:80", "[::1]",
                           "[127.0.0.1]:80", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8o", "*:80"}) {
    Result<ListenAddress> address = parse_listen_address(text);
    INFO(text);
    REQUIRE_FALSE(address);
    CHECK(address.error() == Error{"must be ADDR:PORT, not '" + std::string(text) + "'", ErrorCode::invalid});
  }
}
