#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <semaphore>

#include "drivers/base/system_call.h"
#include "drivers/base/temporary_directory.h"
#include "drivers/store/memory_state_store.h"
#include "drivers/store/state_json.h"
#include "drivers/store/state_lock.h"
#include "drivers/store/state_store.h"
#include "drivers/store/store_writer.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

DurableState held(const std::string& service) {
  DurableState state;
  state.holds[service] = OperatorHold{"uid 0", WallTime(std::chrono::seconds(1))};
  return state;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

TEST_CASE("what was saved is loaded, and nothing saved is the empty state") {
  TemporaryDirectory directory;
  FileStateStore store(directory.path());
  CHECK(store.load() == LoadedState{});
  REQUIRE(store.save(held("web")));
  CHECK(FileStateStore(directory.path()).load() == LoadedState{held("web"), {}, ""});
  CHECK(names_in(directory.path()) == Names{"state.json"});
  CHECK(std::filesystem::status(directory / "state.json").permissions() == std::filesystem::perms(0600));
}

TEST_CASE("a torn file is set aside under the first free name, and the next load finds peace") {
  TemporaryDirectory directory;
  const std::string path = directory / "state.json";
  FileStateStore store(directory.path());
  for (unsigned n = 1; n <= damaged_file_limit; ++n) {
    std::string torn = "{\"torn\": " + std::to_string(n);
    REQUIRE(replace_file(path, torn, 0600));
    std::string aside = path + ".damaged-" + std::to_string(n);
    CHECK(store.load() == LoadedState{{},
                                      {},
                                      "'" + path + "' is damaged: malformed JSON at line 1, column " +
                                          std::to_string(torn.size() + 1) + ", near '" + std::to_string(n) +
                                          "'; set aside as '" + aside + "'"});
    CHECK(read_file(aside, 100) == torn);
    CHECK(store.load() == LoadedState{});
  }

  // The first ones tell how the trouble began; of those beyond the limit only the last is kept.
  REQUIRE(replace_file(path, "last", 0600));
  CHECK_FALSE(store.load().damage.empty());
  CHECK(read_file(path + ".damaged-5", 100) == "last");
  CHECK(read_file(path + ".damaged-1", 100) == "{\"torn\": 1");
  CHECK(names_in(directory.path()).size() == damaged_file_limit + 1);
}

TEST_CASE("of a file damaged in one place the rest is kept, on the disk too") {
  TemporaryDirectory directory;
  const std::string path = directory / "state.json";
  REQUIRE(replace_file(
      path,
      R"({"schema":1,"applied":"x","colour":1,"holds":{"web":{"by":"uid 0","at":"1970-01-01T00:00:01Z"}}})",
      0600));
  FileStateStore store(directory.path());
  CHECK(store.load() ==
        LoadedState{held("web"),
                    {"'" + path + "': unknown key 'colour' is ignored"},
                    "'" + path + "' is damaged: cannot use applied; set aside as '" + path + ".damaged-1'"});
  CHECK(store.load() == LoadedState{held("web"), {}, ""});
}

TEST_CASE("a file that is too large is not read, and set aside") {
  TemporaryDirectory directory;
  const std::string path = directory / "state.json";
  REQUIRE(replace_file(path, "", 0600));
  REQUIRE(::truncate(path.c_str(), state_file_limit_bytes + 1) == 0);
  CHECK(FileStateStore(directory.path()).load() ==
        LoadedState{
            {},
            {},
            "cannot read '" + path + "': larger than 33554432 bytes; set aside as '" + path + ".damaged-1'"});
  CHECK(names_in(directory.path()) == Names{"state.json", "state.json.damaged-1"});
}

TEST_CASE("a directory in the file's place is set aside as well") {
  TemporaryDirectory directory;
  REQUIRE(make_directories(directory / "state.json/x", 0755));
  FileStateStore store(directory.path());
  CHECK_FALSE(store.load().damage.empty());
  CHECK(names_in(directory.path()) == Names{"state.json", "state.json.damaged-1"});
  CHECK(store.load() == LoadedState{});
}

// Fails the n-th step of each replacement with ENOSPC, a write after half of its bytes.
class FullDisk : public FileSteps {
 public:
  explicit FullDisk(int step) : step_(step) {}
  int create(const std::string& path, mode_t mode, UniqueFd& file) override {
    return fails() ? ENOSPC : FileSteps::create(path, mode, file);
  }
  int write(int fd, std::string_view bytes) override {
    if (!fails()) return FileSteps::write(fd, bytes);
    FileSteps::write(fd, bytes.substr(0, bytes.size() / 2));
    return ENOSPC;
  }
  int sync(int fd) override { return fails() ? ENOSPC : FileSteps::sync(fd); }
  int rename(const std::string& from, const std::string& to) override {
    return fails() ? ENOSPC : FileSteps::rename(from, to);
  }

 private:
  bool fails() { return step_-- == 0; }
  int step_;
};

TEST_CASE("the old state survives a disk that is full at any step of the new one") {
  for (int step = 0; step < 4; ++step) {
    TemporaryDirectory directory;
    REQUIRE(FileStateStore(directory.path()).save(held("old")));
    FullDisk steps(step);
    FileStateStore store(directory.path(), steps);
    CHECK(store.save(held("new")).error().message ==
          "cannot write '" + directory / "state.json" + "': no space left on device");
    CHECK(store.load() == LoadedState{held("old"), {}, ""});
    CHECK(names_in(directory.path()) == Names{"state.json"});
  }
}

// A file system of its own, too small for much.
class TinyFileSystem {
 public:
  TinyFileSystem() { is_mounted_ = ::mount("tiny", path().c_str(), "tmpfs", 0, "size=64k") == 0; }
  ~TinyFileSystem() {
    if (is_mounted_) ::umount2(path().c_str(), MNT_DETACH);
  }
  bool is_mounted() const { return is_mounted_; }
  const std::string& path() const { return directory_.path(); }

 private:
  TemporaryDirectory directory_;
  bool is_mounted_ = false;
};

TEST_CASE("on a file system that is really full the old state stays, and room makes the new one possible") {
  TinyFileSystem disk;
  if (!disk.is_mounted()) GITPROC_SKIP("cannot mount a tmpfs: " + error_text(errno));
  FileStateStore store(disk.path());
  REQUIRE(store.save(held("old")));
  {
    Result<UniqueFd> filler = open_file(disk.path() + "/filler", O_WRONLY | O_CREAT, 0600);
    REQUIRE(filler);
    while (write_all(filler->get(), std::string(4096, 'x')) == 0) {
    }
  }
  CHECK_FALSE(store.save(held("new")));
  CHECK(store.load() == LoadedState{held("old"), {}, ""});
  std::filesystem::remove(disk.path() + "/filler");
  REQUIRE(store.save(held("new")));
  CHECK(store.load() == LoadedState{held("new"), {}, ""});
}

TEST_CASE("the second agent on a state directory is told the first one's PID, until that one ends") {
  TemporaryDirectory directory;
  {
    Result<StateLock> first = StateLock::acquire(directory.path());
    REQUIRE(first);
    CHECK(StateLock::acquire(directory.path()).error() ==
          Error{"state directory '" + directory.path() + "' is in use by the agent with PID " +
                    std::to_string(::getpid()),
                ErrorCode::busy});
  }
  CHECK(StateLock::acquire(directory.path()));
  CHECK(StateLock::acquire(directory / "none").error().code == ErrorCode::not_found);
}

TEST_CASE("a killed agent's lock is free, and its long PID leaves no digit behind") {
  TemporaryDirectory directory;
  REQUIRE(replace_file(directory / "lock", "123456789\n", 0644));
  pid_t child = ::fork();
  if (child == 0) {
    bool is_locked = StateLock::acquire(directory.path()).has_value();
    ::kill(::getpid(), is_locked ? SIGKILL : SIGTERM);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WTERMSIG(status) == SIGKILL);
  REQUIRE(StateLock::acquire(directory.path()));
  CHECK(read_file(directory / "lock", 100) == std::to_string(::getpid()) + "\n");
}

TEST_CASE(
    "whoever waited for the last child of a killed agent has its own PID in the lock, and nothing before "
    "it") {
  TemporaryDirectory directory;
  pid_t agent = ::fork();
  if (agent == 0) {
    Result<StateLock> lock = StateLock::acquire(directory.path());
    // A child that has not come to its execve yet.
    if (lock && ::fork() == 0) {
      ::poll(nullptr, 0, 300);
      ::_exit(0);
    }
    ::kill(::getpid(), lock ? SIGKILL : SIGTERM);
  }
  int status = 0;
  REQUIRE(::waitpid(agent, &status, 0) == agent);
  REQUIRE(WTERMSIG(status) == SIGKILL);
  Result<StateLock> next = StateLock::acquire(directory.path());
  REQUIRE(next);
  CHECK(read_file(directory / "lock", 100) == std::to_string(::getpid()) + "\n");
}

// --- the writer ---

// Waits for the writer's event; false after 10 s.
bool wait_for_event(StoreWriter& writer) {
  pollfd waited{writer.fd(), POLLIN, 0};
  if (::poll(&waited, 1, 10'000) != 1) return false;
  writer.acknowledge();
  return true;
}

// Each save says that it has begun, and ends when the test lets it.
class GatedStore : public StateStore {
 public:
  LoadedState load() override { return {}; }
  Result<void> save(const DurableState& state) override {
    begun.release();
    go_on.acquire();
    saved.push_back(state);
    return {};
  }
  std::counting_semaphore<8> begun{0};
  std::counting_semaphore<8> go_on{0};
  std::vector<DurableState> saved;
};

TEST_CASE("while one state is written only the newest waits") {
  GatedStore store;
  {
    auto writer = StoreWriter::start(store).value();
    CHECK(writer->durable_version() == 0);
    writer->submit(held("a"), 1);
    store.begun.acquire();
    writer->submit(held("b"), 2);
    writer->submit(held("c"), 3);
    writer->submit(held("d"), 4);
    CHECK(writer->durable_version() == 0);
    store.go_on.release();
    REQUIRE(wait_for_event(*writer));
    CHECK(writer->durable_version() == 1);
    store.go_on.release();
    while (writer->durable_version() < 4)
      REQUIRE(wait_for_event(*writer));
  }
  CHECK(store.saved == std::vector<DurableState>{held("a"), held("d")});
}

TEST_CASE("a writer that goes writes what waits") {
  TemporaryDirectory directory;
  FileStateStore store(directory.path());
  {
    auto writer = StoreWriter::start(store).value();
    writer->submit(held("a"), 1);
    writer->submit(held("b"), 2);
  }
  CHECK(store.load() == LoadedState{held("b"), {}, ""});
}

// Fails as long as it is told to.
class FaultyStore : public StateStore {
 public:
  LoadedState load() override { return {}; }
  Result<void> save(const DurableState& state) override {
    if (is_faulty) return fail("cannot write 'state.json': no space left on device");
    saved.push_back(state);
    return {};
  }
  std::atomic<bool> is_faulty = true;
  std::vector<DurableState> saved;
};

TEST_CASE("a write that failed is reported, and tried again with the newest state until it succeeds") {
  FaultyStore store;
  {
    auto writer = StoreWriter::start(store, std::chrono::milliseconds(1)).value();
    writer->submit(held("a"), 1);
    REQUIRE(wait_for_event(*writer));
    CHECK(writer->durable_version() == 0);
    CHECK(writer->last_error() == Error{"cannot write 'state.json': no space left on device"});
    writer->submit(held("b"), 2);
    store.is_faulty = false;
    while (writer->durable_version() < 2)
      REQUIRE(wait_for_event(*writer));
    CHECK_FALSE(writer->last_error());
  }
  CHECK(store.saved.back() == held("b"));
}

TEST_CASE("a writer on a disk that stays full still ends") {
  MemoryStateStore store;
  store.fault = Error{"full"};
  {
    auto writer = StoreWriter::start(store).value();
    writer->submit(held("a"), 1);
    REQUIRE(wait_for_event(*writer));
  }
  CHECK(store.attempts == 2);
  CHECK(store.load() == LoadedState{});
}

}  // namespace
}  // namespace gitproc
