#include "agent/protocol/version.h"

#include <fstream>
#include <iterator>

#include "testing/catch.h"

TEST_CASE("the program and its build agree about the version") {
  std::ifstream file(GITPROC_SOURCE_DIR "/CMakeLists.txt");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK(text.find("project(gitproc VERSION " + std::string(gitproc::program_version) + " ") !=
        std::string::npos);
}
