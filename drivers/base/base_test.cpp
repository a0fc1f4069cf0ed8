#include <fcntl.h>
#include <sys/stat.h>

#include "drivers/base/atomic_file.h"
#include "drivers/base/clock.h"
#include "drivers/base/system_call.h"
#include "drivers/base/temporary_directory.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

TEST_CASE("an errno becomes one lower-case clause that says what was attempted") {
  CHECK(system_error("cannot open 'x.service'", EACCES) ==
        Error{"cannot open 'x.service': permission denied", ErrorCode::denied});
  CHECK(system_error("cannot open 'y'", ENOENT).code == ErrorCode::not_found);
  CHECK(error_text(123456) == "error 123456");
}

TEST_CASE("a file is read whole or not at all") {
  TemporaryDirectory directory;
  REQUIRE(replace_file(directory / "file", "12345678", 0600));
  CHECK(read_file(directory / "file", 8) == "12345678");
  CHECK(read_file(directory / "file", 7).error().code == ErrorCode::invalid);
  CHECK(read_file(directory / "none", 7).error().code == ErrorCode::not_found);
  CHECK(read_file("/proc/self/stat", 4096).value().size() > 10);
}

TEST_CASE("directories are made as mkdir -p makes them") {
  TemporaryDirectory directory;
  REQUIRE(make_directories(directory / "a/b/c", 0755));
  REQUIRE(make_directories(directory / "a/b/c", 0755));
  REQUIRE(replace_file(directory / "a/file", "", 0600));
  CHECK(make_directories(directory / "a/file", 0755).error().message ==
        "cannot make directory '" + directory / "a/file" + "': not a directory");
}

TEST_CASE("clocks advance") {
  Now first = read_clocks();
  Now second = read_clocks();
  CHECK(first.instant <= second.instant);
  CHECK(first.instant > Instant(Duration::zero()));
}

// Fails the n-th step.
class FailingSteps : public FileSteps {
 public:
  explicit FailingSteps(int step) : step_(step) {}
  int create(const std::string& path, mode_t mode, UniqueFd& file) override {
    return fails() ? EACCES : FileSteps::create(path, mode, file);
  }
  int write(int fd, std::string_view bytes) override {
    if (!fails()) return FileSteps::write(fd, bytes);
    FileSteps::write(fd, bytes.substr(0, bytes.size() / 2));
    return ENOSPC;
  }
  int sync(int fd) override { return fails() ? EIO : FileSteps::sync(fd); }
  int rename(const std::string& from, const std::string& to) override {
    return fails() ? EIO : FileSteps::rename(from, to);
  }
  int sync_directory(const std::string& path) override {
    return fails() ? EIO : FileSteps::sync_directory(path);
  }

 private:
  bool fails() { return --step_ == 0; }
  int step_;
};

TEST_CASE("whatever step of a replacement fails, the file is whole and nothing is left beside it") {
  TemporaryDirectory directory;
  const std::string path = directory / "state.json";
  for (int step = 1; step <= 4; ++step) {
    REQUIRE(replace_file(path, "old", 0600));
    FailingSteps steps(step);
    CHECK_FALSE(replace_file(path, "new content", 0600, steps));
    CHECK(read_file(path, 100) == "old");
    CHECK(::access((path + ".new").c_str(), F_OK) != 0);
  }
  // Once renamed the new content is there, and only the power can take it away.
  FailingSteps steps(5);
  CHECK_FALSE(replace_file(path, "new content", 0600, steps));
  CHECK(read_file(path, 100) == "new content");
  FailingSteps none(0);
  CHECK(replace_file(path, "newer", 0640, none));
  CHECK(read_file(path, 100) == "newer");
}

}  // namespace
}  // namespace gitproc
