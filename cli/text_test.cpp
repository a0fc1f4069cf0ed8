#include "cli/text.h"

#include "testing/catch.h"

using namespace gitproc;

TEST_CASE("nothing that steers a terminal gets through") {
  CHECK(for_terminal("plain \xC3\xA9\t\xE2\x82\xAC") == "plain \xC3\xA9\t\xE2\x82\xAC");
  CHECK(for_terminal("\033[31mred\a\r\n") == "\\x1b[31mred\\x07\\x0d\\x0a");
  CHECK(for_terminal("\xC2\x9B"
                     "31m") == "\\xc2\\x9b31m");  // CSI as a C1 character
  CHECK(for_terminal("caf\xE9!") == "caf\\xe9!");
  CHECK(for_terminal("\xE2\x82") == "\\xe2\\x82");
  CHECK(for_terminal("\x7F") == "\\x7f");
}

TEST_CASE("widths count characters, not bytes") {
  CHECK(width_of("a\xE2\x82\xAC") == 2);
  CHECK(padded("\xC3\xA9", 3) == "\xC3\xA9  ");
  CHECK(padded("long", 2) == "long");
}

TEST_CASE("sizes are short") {
  CHECK(human_bytes(0) == "0B");
  CHECK(human_bytes(1023) == "1023B");
  CHECK(human_bytes(1536) == "1.5K");
  CHECK(human_bytes((1u << 20) - 1) == "1.0M");
  CHECK(human_bytes(UINT64_MAX) == "16.0E");
}
