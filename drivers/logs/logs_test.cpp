#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include "drivers/base/clock.h"
#include "drivers/base/system_call.h"
#include "drivers/base/temporary_directory.h"
#include "drivers/logs/log_files.h"
#include "drivers/logs/log_follower.h"
#include "drivers/logs/log_reader.h"
#include "drivers/logs/log_rotator.h"
#include "drivers/logs/rotation.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

using Names = std::vector<std::string>;

constexpr LogPolicy small{.max_size_bytes = 64 * 1024, .max_files = 3};

bool is_readable(int fd, int timeout_milliseconds) {
  pollfd waited{fd, POLLIN, 0};
  return ::poll(&waited, 1, timeout_milliseconds) == 1;
}

// Mounts a fresh file system of that kind on `folder`: tmpfs, an overlay of folders in `work`, or one in an image there,
// which takes the kernel's module and the file system's tools. What it lacks shows by the answer.
bool mount_fresh(const std::string& kind, const std::string& folder, const std::string& work,
                 const char* options) {
  if (kind == "tmpfs") return ::mount("logs", folder.c_str(), kind.c_str(), 0, options) == 0;
  if (kind == "overlay") {
    for (const char* part : {"/lower", "/upper", "/work"})
      std::filesystem::create_directory(work + part);
    const std::string parts =
        "lowerdir=" + work + "/lower,upperdir=" + work + "/upper,workdir=" + work + "/work";
    return ::mount("logs", folder.c_str(), kind.c_str(), 0, parts.c_str()) == 0;
  }
  const std::string image = work + "/image";
  const std::string command = "(PATH=$PATH:/sbin:/usr/sbin; truncate -s 400M " + image + " && mkfs." + kind +
                              " -q " + image + " && mount -o loop " + image + " " + folder +
                              ") >/dev/null 2>&1";
  return std::system(command.c_str()) == 0;
}

// A log directory with a service "web" that writes numbered lines. With `file_system` it is mounted there.
class Scene {
 public:
  explicit Scene(const char* file_system = nullptr, const char* options = "size=64m") {
    if (file_system != nullptr)
      is_mounted_ = mount_fresh(file_system, temporary_.path(), work_.path(), options);
    directory_.emplace(LogDirectory::open(temporary_ / "log").value());
    log_ = directory_->open_for_service("web").value();
  }
  ~Scene() {
    directory_.reset();
    log_.reset();
    if (is_mounted_) ::umount2(temporary_.path().c_str(), MNT_DETACH);
  }

  bool is_mounted() const { return is_mounted_; }
  const LogDirectory& directory() const { return *directory_; }
  std::string path(const std::string& name) const { return directory_->path() + "/" + name; }

  // Appends whole lines, at least `bytes` of them.
  void write_lines(std::size_t bytes) {
    std::string text;
    while (text.size() < bytes)
      text += "line " + std::to_string(++lines_) + "\n";
    write(text);
  }
  void write(const std::string& text) {
    REQUIRE(write_all(log_.get(), text) == 0);
    written_ += text;
  }
  const std::string& written() const { return written_; }
  void replace_log() { log_ = directory_->open_for_service("web").value(); }

  // One rotation, all of it; false where none is due.
  bool rotate(LogPolicy policy = small) {
    auto rotation = begin(policy);
    if (!rotation) return false;
    copy_all(*rotation);
    REQUIRE(rotation->commit());
    return true;
  }
  std::optional<Rotation> begin(LogPolicy policy = small) {
    return Rotation::begin(*directory_, "web", policy, disk_).value();
  }
  void copy_all(Rotation& rotation) {
    while (!rotation.copy_some(disk_).value())
      if (disk_.is_waiting()) REQUIRE(is_readable(disk_.fd(), 30'000));
  }

  Names names() const {
    Names names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_->path()))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  TemporaryDirectory work_;
  TemporaryDirectory temporary_;
  bool is_mounted_ = false;
  std::optional<LogDirectory> directory_;
  BackgroundDisk disk_;
  UniqueFd log_;
  std::string written_;
  std::size_t lines_ = 0;
};

std::string read_all(LogReader& reader, std::size_t limit = 1 << 20) {
  std::string all;
  for (;;) {
    LogChunk chunk = reader.read(limit).value();
    REQUIRE_FALSE(chunk.has_gap);
    if (chunk.bytes.empty()) return all;
    all += chunk.bytes;
  }
}

std::string read_all(const LogDirectory& directory) {
  LogReader reader = LogReader::open(directory, "web").value();
  return read_all(reader);
}

// --- names and opening ---

TEST_CASE("a log's name is made of its service's, and tells it") {
  CHECK(log_file_name("worker@1") == "worker@1.log");
  CHECK(archive_file_name("web", 12) == "web.log.12");
  CHECK(service_of_log_file("web.log") == "web");
  CHECK(service_of_log_file("a.log.1.log") == "a.log.1");
  CHECK_FALSE(service_of_log_file("web.log.1"));
  CHECK_FALSE(service_of_log_file(".log"));
}

TEST_CASE("only regular files of the directory itself are logs") {
  Scene scene;
  REQUIRE(::symlink("/etc/passwd", scene.path("link.log").c_str()) == 0);
  REQUIRE(::mkfifo(scene.path("pipe.log").c_str(), 0600) == 0);
  CHECK_FALSE(scene.directory().open_for_service("link"));
  CHECK_FALSE(scene.directory().open_for_service("pipe"));
  CHECK(scene.directory().open_existing("pipe.log", O_RDONLY).error().code == ErrorCode::invalid);
  CHECK(scene.directory().open_existing("../web.log", O_RDONLY).error().code == ErrorCode::invalid);
  CHECK(scene.directory().open_existing("none.log", O_RDONLY).error().code == ErrorCode::not_found);
}

// --- rotation, on a file system that collapses and on one that cannot ---

void story_of_rotation(Scene& scene) {
  scene.write_lines(small.max_size_bytes / 2);
  CHECK_FALSE(scene.rotate());
  scene.write_lines(small.max_size_bytes);
  REQUIRE(scene.rotate());
  CHECK(scene.names() == Names{"web.log", "web.log.1"});
  CHECK(std::filesystem::file_size(scene.path("web.log.1")) == small.max_size_bytes);
  CHECK(read_all(scene.directory()) == scene.written());
  CHECK_FALSE(scene.rotate());

  // Output of several archives' worth is cut into archives of the allowed size; the oldest ones go.
  scene.write_lines(2 * small.max_size_bytes);
  REQUIRE(scene.rotate());
  REQUIRE(scene.rotate());
  CHECK(scene.names() == Names{"web.log", "web.log.1", "web.log.2", "web.log.3"});
  CHECK(read_all(scene.directory()) == scene.written());
  scene.write_lines(small.max_size_bytes);
  REQUIRE(scene.rotate());
  CHECK(scene.names() == Names{"web.log", "web.log.1", "web.log.2", "web.log.3"});
  CHECK(read_all(scene.directory()) == scene.written().substr(small.max_size_bytes));

  // A smaller LogMaxFiles= removes what is too many at the next rotation.
  scene.write_lines(small.max_size_bytes);
  REQUIRE(scene.rotate({.max_size_bytes = small.max_size_bytes, .max_files = 1}));
  CHECK(scene.names() == Names{"web.log", "web.log.1"});
}

TEST_CASE("a log that is too large gives its head to an archive, and nothing is lost") {
  Scene scene;
  story_of_rotation(scene);
  struct stat status;
  REQUIRE(::stat(scene.path("web.log").c_str(), &status) == 0);
  if (status.st_size > static_cast<off_t>(2 * small.max_size_bytes))
    GITPROC_SKIP("this file system cannot collapse a range");
}

TEST_CASE("where a file system cannot collapse, the head becomes a hole") {
  Scene scene("tmpfs");
  if (!scene.is_mounted()) GITPROC_SKIP("cannot mount a tmpfs: " + error_text(errno));
  story_of_rotation(scene);
  struct stat status;
  REQUIRE(::stat(scene.path("web.log").c_str(), &status) == 0);
  CHECK(status.st_size == static_cast<off_t>(scene.written().size()));
  CHECK(static_cast<std::uint64_t>(status.st_blocks) * 512 < 2 * small.max_size_bytes);
}

// Whether the log's offsets begin anew with each rotation, as they do where a range can be collapsed.
bool collapses(const Scene& scene) {
  return std::filesystem::file_size(scene.path("web.log")) <= 2 * small.max_size_bytes;
}

TEST_CASE("on xfs and on an overlay of the disk it is as on the disk, on btrfs the head becomes a hole") {
  const auto [file_system, can_collapse] =
      GENERATE(table<const char*, bool>({{"xfs", true}, {"overlay", true}, {"btrfs", false}}));
  Scene scene(file_system);
  if (!scene.is_mounted()) GITPROC_SKIP("cannot mount a fresh " + std::string(file_system));
  CAPTURE(file_system);
  Scene disk;
  story_of_rotation(disk);
  story_of_rotation(scene);
  bool is_of_disk = std::string(file_system) == "overlay";
  CHECK(collapses(scene) == (is_of_disk ? collapses(disk) : can_collapse));
}

TEST_CASE("a head with much behind it becomes a hole at first, unless that would grow for ever") {
  constexpr LogPolicy policy{.max_size_bytes = 1 << 20, .max_files = 20};
  Scene scene;
  auto size = [&] { return std::filesystem::file_size(scene.path("web.log")); };
  scene.write_lines(8 << 20);
  const std::uint64_t written = size();
  REQUIRE(scene.rotate(policy));
  CHECK(size() == written);
  while (scene.rotate(policy)) {
  }
  if (size() > policy.max_size_bytes) GITPROC_SKIP("the file system does not collapse");
  CHECK(read_all(scene.directory()) == scene.written());

  Scene old;
  std::filesystem::resize_file(old.path("web.log"), largest_hole_bytes);
  old.write_lines(8 << 20);
  REQUIRE(old.rotate(policy));
  CHECK(std::filesystem::file_size(old.path("web.log")) < 16 << 20);
  CHECK(read_all(old.directory()) == old.written());
}

TEST_CASE("without archives to keep, the head is dropped") {
  Scene scene;
  scene.write_lines(small.max_size_bytes + 1);
  REQUIRE(scene.rotate({.max_size_bytes = small.max_size_bytes, .max_files = 0}));
  CHECK(scene.names() == Names{"web.log"});
  CHECK(read_all(scene.directory()) == scene.written().substr(small.max_size_bytes));
}

TEST_CASE("a log smaller than a block waits for one") {
  Scene scene;
  LogPolicy tiny{.max_size_bytes = 100, .max_files = 2};
  scene.write(std::string(4096, 'x'));
  CHECK_FALSE(scene.rotate(tiny));
  scene.write("y");
  CHECK(scene.rotate(tiny));
  CHECK(read_all(scene.directory()) == scene.written());
}

TEST_CASE("a log that its service truncates during the copy is left alone") {
  Scene scene;
  scene.write_lines(small.max_size_bytes * 2);
  std::optional<Rotation> rotation = scene.begin();
  scene.copy_all(*rotation);
  REQUIRE(::truncate(scene.path("web.log").c_str(), 0) == 0);
  scene.write(std::string(small.max_size_bytes * 2, 'z'));
  CHECK(rotation->commit().error().message == "cannot archive 'web.log': it was truncated meanwhile");
  CHECK(std::filesystem::file_size(scene.path("web.log")) == small.max_size_bytes * 2);
}

TEST_CASE("an archive may be read by those who may read the log") {
  Scene scene;
  REQUIRE(::chmod(scene.path("web.log").c_str(), 0604) == 0);
  scene.write_lines(small.max_size_bytes + 1);
  REQUIRE(scene.rotate());
  CHECK(std::filesystem::status(scene.path("web.log.1")).permissions() == std::filesystem::perms(0604));
}

// --- crashes ---

// The states that a crash can leave behind, made by hand from the table in rotation.h: two archives, and a
// rotation of `small.max_size_bytes` that got as far as `row` says.
enum class Row { copy, note, punch, second_note, collapse, shift_begun, shift_done };

void crash_at(Row row, Scene& scene) {
  const off_t end = static_cast<off_t>(small.max_size_bytes);
  scene.write_lines(3 * small.max_size_bytes);
  REQUIRE(scene.rotate());
  REQUIRE(scene.rotate());
  std::optional<Rotation> rotation = scene.begin();
  scene.copy_all(*rotation);
  struct stat status;
  REQUIRE(::stat(scene.path("web.log").c_str(), &status) == 0);
  UniqueFd live = scene.directory().open_existing("web.log", O_RDWR).value();
  std::uint64_t start = data_start(live.get(), 0).value();
  std::string note = std::to_string(start + small.max_size_bytes) + " " + std::to_string(status.st_ino);
  auto write_note = [&](const std::string& text) {
    std::filesystem::remove(scene.path("web.log.cut"));
    std::filesystem::create_symlink(text, scene.path("web.log.cut"));
  };
  if (row >= Row::note) write_note("copied " + note);
  if (row >= Row::punch) {
    REQUIRE(::fallocate(live.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                        static_cast<off_t>(start) + end) == 0);
  }
  if (row >= Row::second_note) write_note("punched " + note);
  if (row >= Row::collapse)
    ::fallocate(live.get(), FALLOC_FL_COLLAPSE_RANGE, 0, static_cast<off_t>(start) + end);
  if (row >= Row::shift_begun) std::filesystem::rename(scene.path("web.log.2"), scene.path("web.log.3"));
  if (row >= Row::shift_done) {
    std::filesystem::rename(scene.path("web.log.1"), scene.path("web.log.2"));
    std::filesystem::rename(scene.path("web.log.0"), scene.path("web.log.1"));
  }
}

TEST_CASE("after a crash anywhere in a rotation no byte is lost and none is there twice") {
  for (const char* file_system : {static_cast<const char*>(nullptr), "tmpfs", "xfs", "btrfs", "overlay"}) {
    for (Row row : {Row::copy, Row::note, Row::punch, Row::second_note, Row::collapse, Row::shift_begun,
                    Row::shift_done}) {
      Scene scene(file_system);
      if (file_system != nullptr && !scene.is_mounted()) continue;
      INFO("row " << static_cast<int>(row) << " on " << (file_system != nullptr ? file_system : "the disk"));
      crash_at(row, scene);
      // Readers need no recovery, and the service goes on writing while no agent runs.
      CHECK(read_all(scene.directory()) == scene.written());
      scene.write_lines(100);
      CHECK(read_all(scene.directory()) == scene.written());

      REQUIRE(recover_rotation(scene.directory(), "web", small));
      CHECK(read_all(scene.directory()) == scene.written());
      Names whole{"web.log", "web.log.1", "web.log.2", "web.log.3"};
      if (row == Row::copy) whole.pop_back();
      CHECK(scene.names() == whole);

      // Once more does nothing.
      REQUIRE(recover_rotation(scene.directory(), "web", small));
      CHECK(read_all(scene.directory()) == scene.written());
    }
  }
}

TEST_CASE("a log replaced after the crash is not cut in its predecessor's stead") {
  for (Row row : {Row::note, Row::second_note}) {
    Scene scene;
    crash_at(row, scene);
    std::filesystem::rename(scene.path("web.log"), scene.path("kept"));
    scene.replace_log();
    std::string archived = scene.written().substr(0, 3 * small.max_size_bytes);
    scene.write(std::string(2 * small.max_size_bytes, 'n'));
    REQUIRE(recover_rotation(scene.directory(), "web", small));
    CHECK(read_all(scene.directory()) == archived + std::string(2 * small.max_size_bytes, 'n'));
  }
}

TEST_CASE("a note that is not ours is removed with the copy it was about") {
  for (const char* text :
       {"", "copied", "copied 1", "copied -1 2", "moved 4096 7", "copied 99999999999999999999 7"}) {
    Scene scene;
    scene.write_lines(small.max_size_bytes * 2);
    if (*text != '\0') std::filesystem::create_symlink(text, scene.path("web.log.cut"));
    std::filesystem::create_symlink("/etc/passwd", scene.path("web.log.0"));
    CHECK_FALSE(read_rotation_note(scene.directory(), "web"));
    REQUIRE(recover_rotation(scene.directory(), "web", small));
    CHECK(scene.names() == Names{"web.log"});
    CHECK(read_all(scene.directory()) == scene.written());
  }
}

// --- the rotator ---

// drain() until nothing is to be done but what waits for `now` to pass, as the loop would.
std::vector<LogIncident> settle(LogRotator& rotator, Instant now) {
  std::vector<LogIncident> incidents;
  do {
    if (rotator.is_waiting_for_disk()) REQUIRE(is_readable(rotator.fd(), 30'000));
    for (LogIncident& incident : rotator.drain(now))
      incidents.push_back(std::move(incident));
  } while (rotator.next_deadline() <= now || rotator.is_waiting_for_disk());
  return incidents;
}

Instant at_second(int seconds) { return Instant(std::chrono::seconds(1000 + seconds)); }

TEST_CASE("a quiet log wakes nobody, one that is written to is looked at once a second at most") {
  Scene scene;
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  rotator.watch("web", small);
  CHECK(settle(rotator, at_second(0)).empty());
  CHECK(rotator.next_deadline() == never);
  CHECK_FALSE(is_readable(rotator.fd(), 0));

  scene.write_lines(small.max_size_bytes + 1);
  REQUIRE(is_readable(rotator.fd(), 1000));
  CHECK(settle(rotator, at_second(1)).empty());
  CHECK(scene.names() == Names{"web.log", "web.log.1"});

  // For the next second the loop is not woken, whatever is written.
  scene.write_lines(small.max_size_bytes + 1);
  CHECK_FALSE(is_readable(rotator.fd(), 0));
  CHECK(rotator.next_deadline() == at_second(2));
  CHECK(settle(rotator, at_second(1)).empty());
  CHECK(scene.names() == Names{"web.log", "web.log.1"});
  CHECK(settle(rotator, at_second(2)).empty());
  CHECK(scene.names() == Names{"web.log", "web.log.1", "web.log.2"});

  // Nothing written in that second: back to sleep. What the rotation itself did to the file may count once.
  for (int second = 3; rotator.next_deadline() != never; ++second) {
    REQUIRE(second < 6);
    settle(rotator, at_second(second));
  }
  CHECK_FALSE(is_readable(rotator.fd(), 0));
  scene.write("x");
  CHECK(is_readable(rotator.fd(), 1000));
  CHECK(read_all(scene.directory()) == scene.written());
}

TEST_CASE("only watched services are rotated, and an agent that comes back finishes what it had begun") {
  Scene scene;
  crash_at(Row::punch, scene);
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  scene.write_lines(small.max_size_bytes);
  settle(rotator, at_second(0));
  CHECK(std::filesystem::is_symlink(scene.path("web.log.cut")));
  rotator.watch("web", small);
  CHECK(rotator.next_deadline() < at_second(0));
  CHECK(settle(rotator, at_second(1)).empty());
  CHECK(scene.names() == Names{"web.log", "web.log.1", "web.log.2", "web.log.3"});

  rotator.forget("web");
  std::string before = read_all(scene.directory());
  scene.write_lines(2 * small.max_size_bytes);
  settle(rotator, at_second(10));
  CHECK(std::filesystem::file_size(scene.path("web.log")) > 2 * small.max_size_bytes);
}

TEST_CASE("a service that goes in the middle of its rotation, and comes back, loses nothing") {
  Scene scene;
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  rotator.watch("web", small);
  scene.write_lines(3 * small.max_size_bytes - 5000);
  rotator.drain(at_second(0));
  CHECK(std::filesystem::exists(scene.path("web.log.0")));
  rotator.forget("web");
  rotator.watch("web", small);
  CHECK(settle(rotator, at_second(1)).empty());
  CHECK(scene.names() == Names{"web.log", "web.log.1", "web.log.2"});
  CHECK(read_all(scene.directory()) == scene.written());
}

TEST_CASE("a truncation by somebody else is told, one by the rotation is not") {
  Scene scene;
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  rotator.watch("web", small);
  scene.write_lines(small.max_size_bytes + 100);
  CHECK(settle(rotator, at_second(0)).empty());
  CHECK(settle(rotator, at_second(2)).empty());
  REQUIRE(::truncate(scene.path("web.log").c_str(), 0) == 0);
  CHECK(settle(rotator, at_second(4)) ==
        std::vector<LogIncident>{{"web", "its log was truncated by somebody else"}});
}

TEST_CASE("a rotation that fails is told once, and tried again later") {
  Scene scene;
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  std::filesystem::create_directories(scene.path("web.log.0/x"));
  rotator.watch("web", small);
  scene.write_lines(small.max_size_bytes + 100);
  std::vector<LogIncident> incidents = settle(rotator, at_second(0));
  REQUIRE(incidents.size() == 1);
  CHECK(incidents[0].message == "cannot open 'web.log.0': is a directory");
  scene.write("x");
  CHECK(settle(rotator, at_second(2)).empty());
  std::filesystem::remove_all(scene.path("web.log.0"));
  scene.write("x");
  CHECK(settle(rotator, at_second(70)).empty());
  CHECK(scene.names() == Names{"web.log", "web.log.1"});
  CHECK(read_all(scene.directory()) == scene.written());
}

TEST_CASE("a log that is deleted is told, once") {
  Scene scene;
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  rotator.watch("web", small);
  scene.write_lines(100);
  CHECK(settle(rotator, at_second(0)).empty());
  std::filesystem::remove(scene.path("web.log"));
  std::vector<LogIncident> told = {
      {"web", "its log was deleted: what it prints until it is restarted is lost"}};
  CHECK(settle(rotator, at_second(2)) == told);
  scene.replace_log();
  scene.write("again");
  CHECK(settle(rotator, at_second(4)).empty());
}

TEST_CASE("LogMaxTotalSize= bounds the live log and its archives together") {
  Scene scene;
  constexpr LogPolicy policy{.max_size_bytes = 64 * 1024, .max_files = 10, .max_total_bytes = 256 * 1024};
  for (int i = 0; i < 8; ++i) {
    scene.write_lines(policy.max_size_bytes + 100);
    scene.rotate(policy);
    std::uint64_t total = 0;
    for (const std::string& name : scene.names())
      total += std::filesystem::file_size(scene.path(name));
    CHECK(total <= policy.max_total_bytes);
  }
  CHECK(scene.names() == Names{"web.log", "web.log.1", "web.log.2", "web.log.3"});
}

// --- a full disk ---

// What another program takes of the disk; all that is left, without `bytes`.
UniqueFd fill(const Scene& scene, std::optional<off_t> bytes = std::nullopt) {
  UniqueFd file(::open(scene.path("ballast").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  std::string piece(4096, 'x');
  for (off_t done = 0; !bytes || done < *bytes; done += static_cast<off_t>(piece.size())) {
    if (::write(file.get(), piece.data(), piece.size()) != static_cast<ssize_t>(piece.size())) break;
  }
  return file;
}

TEST_CASE("on a full disk the oldest archives go, first the service's own, and its output goes on") {
  Scene scene("tmpfs", "size=2m");
  if (!scene.is_mounted()) GITPROC_SKIP("mounting a tmpfs needs root");
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  constexpr LogPolicy policy{.max_size_bytes = 256 * 1024, .max_files = 100};
  rotator.watch("web", policy);
  rotator.watch("other", policy);
  UniqueFd other = scene.directory().open_for_service("other").value();
  REQUIRE(write_all(other.get(), std::string(policy.max_size_bytes + 5000, 'o')) == 0);
  settle(rotator, at_second(0));
  REQUIRE(std::filesystem::exists(scene.path("other.log.1")));
  std::vector<LogIncident> incidents;
  // A service that tries again what the full disk did not take. Four times what there is room for.
  UniqueFd web = scene.directory().open_for_service("web").value();
  std::string written;
  int second = 0;
  for (unsigned line = 0; written.size() < (8u << 20);) {
    std::string text;
    while (text.size() < 50'000)
      text += "line " + std::to_string(++line) + "\n";
    for (int attempts = 0; !text.empty(); ++attempts) {
      ssize_t size = ::write(web.get(), text.data(), text.size());
      if (size > 0) written += text.substr(0, static_cast<std::size_t>(size));
      if (size > 0) text.erase(0, static_cast<std::size_t>(size));
      REQUIRE(attempts < 100);
      for (LogIncident& incident : settle(rotator, at_second(second += 2)))
        incidents.push_back(std::move(incident));
    }
  }
  CHECK(incidents == std::vector<LogIncident>{{"", "the disk of '" + scene.directory().path() +
                                                       "' is full: the oldest archives are removed"}});
  CHECK(std::filesystem::exists(scene.path("other.log.1")));
  std::string kept = read_all(scene.directory());
  CHECK(kept.size() > policy.max_size_bytes);
  CHECK(written.ends_with(kept));
}

TEST_CASE("when others fill the disk, archives make room, and at last the head of a log that is too large") {
  Scene scene("tmpfs", "size=4m");
  if (!scene.is_mounted()) GITPROC_SKIP("mounting a tmpfs needs root");
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  rotator.watch("web", small);
  for (int i = 0; i < 3; ++i) {
    scene.write_lines(small.max_size_bytes + 5000);
    settle(rotator, at_second(2 * i));
  }
  REQUIRE(scene.names().size() == 4);
  UniqueFd ballast = fill(scene);
  // Only a part of it can be written, and that is what is noticed.
  std::string text(8192, 'y');
  UniqueFd log = scene.directory().open_for_service("web").value();
  while (::write(log.get(), text.data(), text.size()) > 0) {
  }
  std::vector<LogIncident> incidents = settle(rotator, at_second(10));
  REQUIRE_FALSE(incidents.empty());
  CHECK(incidents[0].message.ends_with("is full: the oldest archives are removed"));
  CHECK(::write(log.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));

  // Nothing but the log itself is left to give: it keeps what LogMaxSize= promises, and can be written to.
  for (int i = 0; i < 20; ++i) {
    while (::write(log.get(), text.data(), text.size()) > 0) {
    }
    fill(scene);
    settle(rotator, at_second(20 + 20 * i));
  }
  CHECK(::write(log.get(), "z\n", 2) == 2);
  CHECK(std::filesystem::exists(scene.path("ballast")));
}

TEST_CASE(
    "of a log that outruns its rotation the newest output is kept, and who reads along misses nothing") {
  const char* file_system = GENERATE(static_cast<const char*>(nullptr), "tmpfs");
  Scene scene(file_system);
  if (file_system != nullptr && !scene.is_mounted())
    GITPROC_SKIP("cannot mount a tmpfs: " + error_text(errno));
  constexpr std::uint64_t kept = small.max_size_bytes * small.max_files + small.max_size_bytes / 2;
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  rotator.watch("web", small);
  scene.write_lines(3 * small.max_size_bytes - 5000);
  CHECK(settle(rotator, at_second(0)).empty());
  CHECK(scene.names() == Names{"web.log", "web.log.1", "web.log.2"});

  LogReader along = LogReader::open(scene.directory(), "web").value();
  LogReader asleep = LogReader::open(scene.directory(), "web").value();
  std::string read = read_all(along);
  CHECK(read_all(asleep) == read);
  for (int second = 1; second < 5; ++second) {
    scene.write_lines(10 * small.max_size_bytes);
    read += read_all(along);
    CHECK(settle(rotator, at_second(second)).empty());
    CHECK(scene.names() == Names{"web.log"});
    CHECK(read_all(along).empty());
    std::string left = read_all(scene.directory());
    CHECK(left.size() >= kept);
    CHECK(left.size() < kept + 8192);
    CHECK(scene.written().ends_with(left));
    // It is looked at again before its second is over.
    CHECK(rotator.next_deadline() == after(at_second(second), LogRotator::outrunning_interval));
  }
  CHECK(asleep.read(10) == LogChunk{read_all(scene.directory()).substr(0, 10), true});

  // It has grown by less than an archive since: now it is archived.
  scene.write_lines(small.max_size_bytes / 4);
  CHECK(settle(rotator, after(at_second(4), LogRotator::outrunning_interval)).empty());
  CHECK(scene.names() == Names{"web.log", "web.log.1", "web.log.2", "web.log.3"});
  CHECK(scene.written().ends_with(read_all(scene.directory())));
  CHECK(read + read_all(along) == scene.written());
}

TEST_CASE("LogMaxTotalSize= bounds what is kept of a log that outruns its rotation") {
  Scene scene;
  LogPolicy policy = small;
  policy.max_total_bytes = 3 * small.max_size_bytes;
  scene.write_lines(10 * small.max_size_bytes);
  Skipped skipped = skip_oldest_output(scene.directory(), "web", policy).value();
  CHECK(skipped.is_all);
  std::string left = read_all(scene.directory());
  CHECK(left.size() >= policy.max_total_bytes);
  CHECK(left.size() < policy.max_total_bytes + 8192);
  CHECK(left == scene.written().substr(skipped.bytes));
  CHECK(skip_oldest_output(scene.directory(), "web", policy).value() == Skipped{});
}

// At 200 MB a second, several times what such small archives come to; limits are wide, for a busy machine.
TEST_CASE("the disk that a service takes that prints without end is bounded") {
  constexpr LogPolicy policy{.max_size_bytes = 256 << 10, .max_files = 3};
  constexpr std::size_t piece = 4 << 20, all = std::size_t{600} << 20;
  Scene scene;
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  rotator.watch("web", policy);
  std::atomic<bool> is_over = false;
  std::thread service([&] {
    UniqueFd log = scene.directory().open_for_service("web").value();
    const std::string text(piece, 'y');
    for (std::size_t written = 0; written < all && write_all(log.get(), text) == 0; written += piece)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    is_over = true;
  });
  std::uintmax_t most = 0;
  while (!is_over) {
    std::uintmax_t taken = 0;
    for (const std::string& name : scene.names()) {
      struct stat status;
      if (::stat(scene.path(name).c_str(), &status) == 0)
        taken += static_cast<std::uintmax_t>(status.st_blocks) * 512;
    }
    most = std::max(most, taken);
    is_readable(rotator.fd(), 10);
    CHECK(rotator.drain(read_clocks().instant).empty());
  }
  service.join();
  CHECK(most < all / 2);
}

// Writes numbered lines as fast as it can until it is told to stop, then says how many.
class BusyService {
 public:
  explicit BusyService(const LogDirectory& directory) : log_(directory.open_for_service("web").value()) {
    thread_ = std::thread([this] {
      std::string text;
      for (std::size_t written = 0; !is_stopped_ && written < most_bytes; written += text.size()) {
        text.clear();
        for (int i = 0; i < 20; ++i)
          text += "line " + std::to_string(++lines_) + "\n";
        if (write_all(log_.get(), text) != 0) break;
      }
    });
  }
  ~BusyService() {
    if (thread_.joinable()) stop();
  }
  std::uint64_t stop() {
    is_stopped_ = true;
    thread_.join();
    return lines_;
  }

 private:
  // More than any test rotates. Where the disk is slower than the writer, rotation must come to an end all the same.
  static constexpr std::size_t most_bytes = 16u << 20;

  UniqueFd log_;
  std::atomic<bool> is_stopped_ = false;
  std::uint64_t lines_ = 0;
  std::thread thread_;
};

// The number of the last line when `text` is "line FIRST\nline FIRST+1\n..." without a flaw; 0 otherwise.
std::uint64_t last_of_consecutive_lines(std::string_view text, std::uint64_t first) {
  std::uint64_t number = first;
  std::string expected;
  while (!text.empty()) {
    expected = "line " + std::to_string(number) + "\n";
    if (!text.starts_with(expected)) return 0;
    text.remove_prefix(expected.size());
    ++number;
  }
  return number - 1;
}

void story_of_a_busy_service(Scene& scene) {
  constexpr LogPolicy policy{.max_size_bytes = 256 * 1024, .max_files = 400};
  LogRotator rotator = LogRotator::open(scene.directory().path()).value();
  LogReader reader = LogReader::open(scene.directory(), "web").value();
  LogFollower follower = LogFollower::open(scene.directory(), {"web"}, 0).value();
  rotator.watch("web", policy);
  BusyService service(scene.directory());
  std::string followed, read;
  auto follow = [&] {
    std::vector<FollowedLines> arrived = follower.read().value();
    for (FollowedLines& lines : arrived) {
      REQUIRE_FALSE(lines.has_gap);
      followed += lines.text;
    }
  };
  // Each turn of this loop is a second of the rotator's.
  for (int second = 0; !std::filesystem::exists(scene.path("web.log.25")); ++second) {
    REQUIRE(second < 20'000);
    REQUIRE(settle(rotator, at_second(second)).empty());
    read += reader.read(100'000).value().bytes;
    follow();
  }
  std::uint64_t lines = service.stop();
  read += read_all(reader);
  do
    follow();
  while (follower.has_more());
  CHECK(last_of_consecutive_lines(read_all(scene.directory()), 1) == lines);
  CHECK(last_of_consecutive_lines(read, 1) == lines);
  CHECK(last_of_consecutive_lines(followed, 1) == lines);
}

TEST_CASE("25 rotations under a service that writes at full speed lose no line, for no reader") {
  Scene scene;
  story_of_a_busy_service(scene);
}

TEST_CASE("nor do they where the file system cannot collapse") {
  Scene scene("tmpfs");
  if (!scene.is_mounted()) GITPROC_SKIP("cannot mount a tmpfs: " + error_text(errno));
  story_of_a_busy_service(scene);
}

TEST_CASE("nor do they on other file systems") {
  const char* file_system = GENERATE("xfs", "btrfs", "overlay");
  Scene scene(file_system);
  if (!scene.is_mounted()) GITPROC_SKIP("cannot mount a fresh " + std::string(file_system));
  CAPTURE(file_system);
  story_of_a_busy_service(scene);
}

TEST_CASE("a rotator killed at any moment loses nothing and doubles nothing") {
  Scene scene;
  constexpr LogPolicy policy{.max_size_bytes = 128 * 1024, .max_files = 500};
  BusyService service(scene.directory());
  for (int round = 0; round < 40; ++round) {
    pid_t child = ::fork();
    if (child == 0) {
      // The agent: rotates until it is killed, at a moment that nobody chose.
      Result<LogRotator> rotator = LogRotator::open(scene.directory().path());
      if (!rotator) ::_exit(1);
      rotator->watch("web", policy);
      for (int second = 0;; ++second)
        rotator->drain(at_second(second));
    }
    REQUIRE(child > 0);
    // A few archives more, then the axe, a little later from round to round.
    std::string next = scene.path("web.log." + std::to_string(2 * round + 2));
    Instant deadline = read_clocks().instant + std::chrono::seconds(20);
    while (!std::filesystem::exists(next) && read_clocks().instant < deadline)
      ::poll(nullptr, 0, 1);
    Instant axe = read_clocks().instant + Duration(97 * round);
    while (read_clocks().instant < axe) {
    }
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
  }
  std::uint64_t lines = service.stop();
  CHECK(last_of_consecutive_lines(read_all(scene.directory()), 1) == lines);
  REQUIRE(recover_rotation(scene.directory(), "web", policy));
  CHECK(last_of_consecutive_lines(read_all(scene.directory()), 1) == lines);
}

// --- reading ---

std::string tail(const LogDirectory& directory, std::size_t lines) {
  LogReader reader = LogReader::open(directory, "web").value();
  REQUIRE(reader.seek_to_last_lines(lines));
  return read_all(reader, 1000);
}

TEST_CASE("the last lines are found across archives, and an unfinished line counts") {
  for (const char* file_system : {static_cast<const char*>(nullptr), "tmpfs"}) {
    Scene scene(file_system);
    if (file_system != nullptr && !scene.is_mounted()) continue;
    CHECK(tail(scene.directory(), 3) == "");
    scene.write("a\nb\nc\n");
    CHECK(tail(scene.directory(), 0) == "");
    CHECK(tail(scene.directory(), 1) == "c\n");
    CHECK(tail(scene.directory(), 2) == "b\nc\n");
    CHECK(tail(scene.directory(), 9) == "a\nb\nc\n");
    scene.write("d");
    CHECK(tail(scene.directory(), 2) == "c\nd");
    scene.write("\n\n");
    CHECK(tail(scene.directory(), 2) == "d\n\n");

    scene.write_lines(3 * small.max_size_bytes);
    while (scene.rotate()) {
    }
    const std::string& all = scene.written();
    for (std::size_t lines : {1, 2, 1000, 5000, 9000, 14000}) {
      std::size_t at = all.size() - 1;
      for (std::size_t i = 0; i < lines; ++i)
        at = all.rfind('\n', at - 1);
      CHECK(tail(scene.directory(), lines) == all.substr(at + 1));
    }
    CHECK(tail(scene.directory(), 10'000'000) == all);
  }
}

TEST_CASE("a tail of lines without end is bounded") {
  Scene scene;
  scene.write(std::string(tail_limit_bytes + (1 << 20), 'x'));
  CHECK(tail(scene.directory(), 1).size() == tail_limit_bytes);
}

TEST_CASE("bytes are given as they are, in pieces of the size that was asked for") {
  Scene scene;
  std::string bytes("\x1b[31m\0\xff\r\n", 9);
  scene.write(bytes);
  LogReader reader = LogReader::open(scene.directory(), "web").value();
  CHECK(reader.read(4).value() == LogChunk{bytes.substr(0, 4), false});
  CHECK(reader.read(4096).value() == LogChunk{bytes.substr(4), false});
  CHECK(reader.read(4096).value() == LogChunk{});
}

TEST_CASE("a reader that falls behind what is kept says so") {
  Scene scene;
  LogPolicy one{.max_size_bytes = 64 * 1024, .max_files = 1};
  scene.write_lines(one.max_size_bytes + 1);
  REQUIRE(scene.rotate(one));
  LogReader reader = LogReader::open(scene.directory(), "web").value();
  read_all(reader);
  scene.write_lines(3 * one.max_size_bytes);
  while (scene.rotate(one)) {
  }
  LogChunk chunk = reader.read(10).value();
  CHECK(chunk.has_gap);
  CHECK(chunk.bytes == read_all(scene.directory()).substr(0, 10));
  CHECK_FALSE(reader.read(10).value().has_gap);
}

// Reads on when the follower's descriptor says so, until `is_done` or 10 s have passed.
std::vector<FollowedLines> follow_until(
    LogFollower& follower, const std::function<bool(const std::vector<FollowedLines>&)>& is_done) {
  std::vector<FollowedLines> all;
  Instant deadline = read_clocks().instant + std::chrono::seconds(10);
  while (!is_done(all) && read_clocks().instant < deadline) {
    if (!follower.has_more()) is_readable(follower.fd(), 1000);
    std::vector<FollowedLines> arrived = follower.read().value();
    for (FollowedLines& lines : arrived)
      all.push_back(std::move(lines));
  }
  return all;
}

std::vector<FollowedLines> follow_next(LogFollower& follower) {
  return follow_until(follower, [](const auto& lines) { return !lines.empty(); });
}

// Reads what there is, so that the follower sleeps.
void put_to_sleep(LogFollower& follower) {
  do
    follower.read().value();
  while (follower.has_more() || is_readable(follower.fd(), 0));
}

using Followed = std::vector<FollowedLines>;

TEST_CASE("followed logs give their last lines, then whole lines as they arrive") {
  Scene scene;
  UniqueFd other = scene.directory().open_for_service("other").value();
  scene.write("a\nb\n");
  LogFollower follower = LogFollower::open(scene.directory(), {"web", "other", "later"}, 1).value();
  CHECK(follow_next(follower) == Followed{{0, "b\n", false}});
  put_to_sleep(follower);

  REQUIRE(write_all(other.get(), "half a ") == 0);
  REQUIRE(is_readable(follower.fd(), 1000));
  CHECK(follower.read().value() == Followed{});
  REQUIRE(write_all(other.get(), "line\nnext") == 0);
  CHECK(follow_next(follower) == Followed{{1, "half a line\n", false}});
  put_to_sleep(follower);

  UniqueFd later = scene.directory().open_for_service("later").value();
  REQUIRE(write_all(later.get(), "born\n") == 0);
  CHECK(follow_next(follower) == Followed{{2, "born\n", false}});
  put_to_sleep(follower);
  REQUIRE(write_all(later.get(), "lives\n") == 0);
  CHECK(follow_next(follower) == Followed{{2, "lives\n", false}});
}

TEST_CASE("a follower survives truncation, and deletion with a new file under the name") {
  Scene scene;
  scene.write("one\n");
  LogFollower follower = LogFollower::open(scene.directory(), {"web"}, 9).value();
  CHECK(follow_next(follower) == Followed{{0, "one\n", false}});
  put_to_sleep(follower);

  REQUIRE(::truncate(scene.path("web.log").c_str(), 0) == 0);
  put_to_sleep(follower);
  scene.write("two\n");
  CHECK(follow_next(follower) == Followed{{0, "two\n", true}});
  put_to_sleep(follower);

  REQUIRE(std::filesystem::remove(scene.path("web.log")));
  put_to_sleep(follower);
  scene.replace_log();
  scene.write("three\n");
  CHECK(follow_next(follower) == Followed{{0, "three\n", false}});
  put_to_sleep(follower);
  scene.write("four\n");
  CHECK(follow_next(follower) == Followed{{0, "four\n", false}});
}

TEST_CASE("a line without end is given in pieces, so that nobody has to hold it") {
  Scene scene;
  LogFollower follower = LogFollower::open(scene.directory(), {"web"}, 0).value();
  scene.write(std::string(follow_line_limit_bytes + 1, 'x'));
  CHECK(follow_next(follower) == Followed{{0, std::string(follow_line_limit_bytes + 1, 'x'), false}});
  scene.write("end\n");
  CHECK(follow_next(follower) == Followed{{0, "end\n", false}});
}

}  // namespace
}  // namespace gitproc
