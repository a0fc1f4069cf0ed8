#include "drivers/logs/background_disk.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>

#include "drivers/base/system_call.h"
#include "drivers/base/temporary_directory.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

constexpr std::size_t block = 4096;

std::string numbered_bytes(std::size_t size) {
  std::string text;
  for (int line = 0; text.size() < size; ++line)
    text += std::to_string(line) + "\n";
  return text.substr(0, size);
}

// Where no descriptor can be had, no operation can be done in the background.
std::unique_ptr<BackgroundDisk> disk_without_aio() {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  auto disk = std::make_unique<BackgroundDisk>();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(disk->fd() < 0);
  return disk;
}

std::int64_t result_of(BackgroundDisk& disk) {
  for (;;) {
    if (std::optional<std::int64_t> result = disk.take()) return *result;
    pollfd ended{disk.fd(), POLLIN, 0};
    REQUIRE(::poll(&ended, 1, 30'000) == 1);
  }
}

struct Files {
  TemporaryDirectory folder;
  UniqueFd from = open_file(folder / "from", O_RDWR | O_CREAT, 0600).value();
  UniqueFd to = open_file(folder / "to", O_RDWR | O_CREAT, 0600).value();

  std::string copied() { return read_file(folder / "to", 1 << 20).value(); }
};

void story_of_a_copy(BackgroundDisk& disk) {
  Files files;
  std::string text = numbered_bytes(40 * block);
  REQUIRE(write_all(files.from.get(), text) == 0);
  REQUIRE(disk.prepare(files.to.get(), 32 * block) == 0);
  CHECK_FALSE(disk.is_busy());
  disk.copy(files.from.get(), 2 * block, files.to.get(), 0, 20 * block);
  CHECK(disk.is_busy());
  CHECK(result_of(disk) == 20 * block);
  CHECK_FALSE(disk.is_busy());
  disk.copy(files.from.get(), 22 * block, files.to.get(), 20 * block, 12 * block);
  CHECK(result_of(disk) == 12 * block);
  disk.sync(files.to.get());
  CHECK(result_of(disk) == 0);
  CHECK(files.copied() == text.substr(2 * block, 32 * block));
}

TEST_CASE("what is copied in pieces is whole, with the disk in the background and without") {
  BackgroundDisk disk;
  story_of_a_copy(disk);
  story_of_a_copy(*disk_without_aio());
}

TEST_CASE("of a file that is shorter than was thought nothing is invented") {
  Files files;
  REQUIRE(write_all(files.from.get(), numbered_bytes(3 * block)) == 0);
  for (bool has_aio : {true, false}) {
    auto disk = has_aio ? std::make_unique<BackgroundDisk>() : disk_without_aio();
    REQUIRE(::ftruncate(files.to.get(), 0) == 0);
    REQUIRE(disk->prepare(files.to.get(), 8 * block) == 0);
    disk->copy(files.from.get(), 0, files.to.get(), 0, 8 * block);
    std::int64_t a_part = result_of(*disk);
    CHECK((a_part == 3 * block || a_part == -EFAULT));
    disk->copy(files.from.get(), 4 * block, files.to.get(), 4 * block, 4 * block);
    std::int64_t nothing = result_of(*disk);
    CHECK((nothing == 0 || nothing == -EFAULT));
  }
}

TEST_CASE("what cannot be written is told with its reason") {
  Files files;
  UniqueFd read_only = open_file(files.folder / "to", O_RDONLY).value();
  REQUIRE(write_all(files.from.get(), numbered_bytes(block)) == 0);
  for (bool has_aio : {true, false}) {
    auto disk = has_aio ? std::make_unique<BackgroundDisk>() : disk_without_aio();
    disk->copy(files.from.get(), 0, read_only.get(), 0, block);
    CHECK(result_of(*disk) == -EBADF);
  }
}

TEST_CASE("a disk that goes while it is at work leaves nothing behind") {
  Files files;
  REQUIRE(write_all(files.from.get(), numbered_bytes(8 * block)) == 0);
  {
    BackgroundDisk disk;
    REQUIRE(disk.prepare(files.to.get(), 8 * block) == 0);
    disk.copy(files.from.get(), 0, files.to.get(), 0, 8 * block);
  }
  CHECK(files.copied() == numbered_bytes(8 * block));
}

}  // namespace
}  // namespace gitproc
