#include "cli/output.h"

#include <sstream>

#include "testing/catch.h"

using namespace gitproc;

namespace {

std::string printed(bool is_terminal, bool has_colour) {
  std::ostringstream stream;
  Output output(stream, is_terminal, has_colour);
  Table table({"NAME", "STATE", "ABOUT"});
  table.add({{"web"}, {"running", Style::green}, {"caf\xC3\xA9"}});
  table.add({{"d\033b"}, {"failed"}, {"a\tb"}});
  table.print(output);
  return stream.str();
}

}  // namespace

TEST_CASE("a table is aligned on a terminal") {
  CHECK(printed(true, false) ==
        "NAME    STATE    ABOUT\n"
        "web     running  caf\xC3\xA9\n"
        "d\\x1bb  failed   a b\n");
}

TEST_CASE("colours surround the cells and do not disturb the columns") {
  CHECK(printed(true, true) ==
        "\033[1mNAME    STATE    ABOUT\033[0m\n"
        "web     \033[32mrunning  \033[0mcaf\xC3\xA9\n"
        "d\\x1bb  failed   a b\n");
}

TEST_CASE("elsewhere a row is a line of fields between tabs") {
  CHECK(printed(false, false) == "web\trunning\tcaf\xC3\xA9\nd\\x1bb\tfailed\ta b\n");
}

TEST_CASE("fields are aligned at their colons, and empty ones left out") {
  std::ostringstream stream;
  Output output(stream, true, false);
  Fields fields;
  fields.add("Branch", "main");
  fields.add("Error", "");
  fields.add("Warnings", std::vector<std::string>{"one", "two"});
  fields.print(output);
  CHECK(stream.str() ==
        "    Branch: main\n"
        "  Warnings: one\n"
        "            two\n");
}
