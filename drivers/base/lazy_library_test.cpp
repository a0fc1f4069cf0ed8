#include "drivers/base/lazy_library.h"

#include <array>

#include "testing/catch.h"

namespace gitproc {
namespace {

TEST_CASE("a library is loaded when asked, and its functions are found") {
  static constexpr const char* names[] = {"zlibVersion", "crc32"};
  std::array<void*, 2> table{};
  LazyLibrary library("libz.so.1", names, table);
  void* before = table[0];
  CHECK(before != nullptr);  // calling it too early is told, not a jump to nowhere
  if (!library.load()) GITPROC_SKIP("libz.so.1 is not installed");
  CHECK(table[0] != before);
  CHECK(table[1] != before);
  auto crc32 = reinterpret_cast<unsigned long (*)(unsigned long, const char*, unsigned)>(table[1]);
  CHECK(crc32(0, "123456789", 9) == 0xcbf43926);
}

TEST_CASE("a library that is missing, or another version, is an error that names it") {
  static constexpr const char* names[] = {"no_such_function"};
  std::array<void*, 1> table{};
  Result<void> missing = LazyLibrary("libnothing-like-this.so.7", names, table).load();
  REQUIRE(!missing);
  CHECK(missing.error().code == ErrorCode::unavailable);
  CHECK(missing.error().message.find("libnothing-like-this.so.7") != std::string::npos);
  Result<void> other = LazyLibrary("libc.so.6", names, table).load();
  REQUIRE(!other);
  CHECK(other.error().message == "cannot load libc.so.6: it has no 'no_such_function'");
}

}  // namespace
}  // namespace gitproc
