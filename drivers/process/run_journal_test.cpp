#include "drivers/process/run_journal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "drivers/base/clock.h"
#include "drivers/base/system_call.h"
#include "drivers/base/temporary_directory.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

const std::string hex = "000102030405060708090a0b0c0d0e0f";
const std::string header = "gitproc-runs 1 boot .\n";
const std::string spawn_web = "\nspawn web 7 " + hex + " start 0 2 100 5000000 .\n";

// In these stories the process 100 lives, started in the fifth second.
bool is_alive(Pid pid, Instant latest_start) {
  return pid == 100 && latest_start >= Instant(std::chrono::seconds(5));
}

std::vector<AdoptedService> replay(const std::string& lines) {
  return replay_run_journal(header + lines, "boot", is_alive);
}

AdoptedService web() {
  AdoptedService service;
  service.name = "web";
  service.fingerprint = 7;
  service.invocation = *InvocationId::parse(hex);
  service.restarts = 2;
  service.main = AdoptedProcess{.pid = 100, .is_alive = true};
  return service;
}

// Braced lists do not compare by themselves.
bool same(const std::vector<AdoptedService>& found, const std::vector<AdoptedService>& expected) {
  return found == expected;
}

TEST_CASE("a spawned main process is found again") { CHECK(same(replay(spawn_web), {web()})); }

TEST_CASE("a namespace's init stands for a main process that is dead, until that one writes its own line") {
  std::string begin = "\nspawn web 7 " + hex + " start 0 2 ";
  AdoptedService service = web();
  service.main = AdoptedProcess{.pid = 100, .is_alive = false};
  service.init = AdoptedProcess{.pid = 100, .is_alive = true};
  CHECK(same(replay(begin + "0 5000000 100 .\n"), {service}));
  service.init = AdoptedProcess{.pid = 90, .is_alive = false};
  service.main = AdoptedProcess{.pid = 100, .is_alive = true};
  CHECK(same(replay(begin + "0 5000000 90 .\n" + begin + "100 5000000 90 .\n"), {service}));
  CHECK(replay(begin + "100 5000000 x .\n").empty());
}

TEST_CASE("a process is another one when it started after the record was written") {
  AdoptedService service = web();
  service.main->is_alive = false;
  CHECK(same(replay("\nspawn web 7 " + hex + " start 0 2 100 4000000 .\n"), {service}));
}

TEST_CASE("start-up, a change of the main process and a stop leave their marks") {
  AdoptedService service = web();
  service.was_started = service.was_stopping = true;
  service.started_at = Instant(std::chrono::seconds(6));
  service.fingerprint = 8;
  service.main = AdoptedProcess{.pid = 200, .is_alive = false};
  CHECK(same(
      replay(spawn_web +
             "\nstarted web 100 6000000 .\n\nmain web 200 6000000 .\n\nstamped web 8 .\n\nstopping web .\n"),
      {service}));
}

TEST_CASE("a command beside the main process is the control process, until start-up is complete") {
  std::string post = "\nspawn web 7 " + hex + " start-post 1 2 300 7000000 .\n";
  AdoptedService service = web();
  service.control = AdoptedProcess{.pid = 300, .is_alive = false};
  service.phase = ExecPhase::start_post;
  service.command_index = 1;
  CHECK(same(replay(spawn_web + post), {service}));
  service.control.reset();
  service.was_started = true;
  service.started_at = Instant(std::chrono::seconds(8));
  CHECK(same(replay(spawn_web + post + "\nstarted web 100 8000000 .\n"), {service}));
}

TEST_CASE("an end with a latch is kept, an end without one and what is forgotten are not") {
  AdoptedService service = web();
  service.main.reset();
  service.latch = Latch{.kind = LatchKind::failed,
                        .result = ServiceResult::exit_code,
                        .exit = ExitStatus{.kind = ExitStatus::Kind::exited, .value = 3}};
  std::string ended = "\nended web failed exit-code exited 3 .\n";
  CHECK(same(replay(spawn_web + ended), {service}));
  CHECK(same(replay(spawn_web + "\nended web .\n"), {}));
  CHECK(same(replay(spawn_web + ended + "\nforgotten web .\n"), {}));
  CHECK(same(replay(spawn_web + ended + spawn_web), {web()}));
}

TEST_CASE("another invocation begins from nothing") {
  std::string other = "\nspawn web 9 ff0102030405060708090a0b0c0d0eff start-pre 0 0 100 9000000 .\n";
  AdoptedService service;
  service.name = "web";
  service.fingerprint = 9;
  service.invocation = *InvocationId::parse("ff0102030405060708090a0b0c0d0eff");
  service.phase = ExecPhase::start_pre;
  service.control = AdoptedProcess{.pid = 100, .is_alive = true};
  CHECK(same(replay(spawn_web + "\nstarted web 100 5000000 .\n" + other), {service}));
}

TEST_CASE("torn, damaged and foreign text tells nothing, and hurts nothing beside it") {
  for (std::size_t cut = 1; cut + 1 < spawn_web.size(); ++cut) {
    CAPTURE(cut);
    std::string torn = spawn_web.substr(0, cut);
    bool is_whole = cut + 2 > spawn_web.size();
    CHECK(replay(torn).size() == (is_whole ? 1u : 0u));
    CHECK(same(replay(torn + spawn_web), {web()}));
  }
  CHECK(same(
      replay(spawn_web +
             "\nspawn db x y z .\n\nstarted web -3 1 .\n\nstarted web 1 99999999999999999999 .\n\nwhat .\n"),
      {web()}));
  CHECK(replay_run_journal(header + spawn_web, "another-boot", is_alive).empty());
  CHECK(replay_run_journal("gitproc-runs 2 boot .\n" + spawn_web, "boot", is_alive).empty());
  CHECK(replay_run_journal("", "boot", is_alive).empty());
}

void write_spawn(RunJournal& journal, const std::string& name, Pid pid) {
  Spawn spawn;
  auto unit = std::make_shared<Unit>();
  unit->name = name;
  unit->fingerprint = 7;
  spawn.unit = unit;
  spawn.invocation = *InvocationId::parse(hex);
  spawn.restarts = 2;
  std::string line = journal.spawn_line(spawn) + std::to_string(pid) + " " +
                     std::to_string(read_clocks().instant.time_since_epoch().count()) + " .\n";
  REQUIRE(write_all(journal.fd(), line) == 0);
}

TEST_CASE("a journal tells the same after it was opened again, and after it was compacted") {
  TemporaryDirectory directory;
  const std::string path = directory / "runs.journal";
  Result<RunJournal> journal = RunJournal::open(path, "boot");
  REQUIRE(journal);
  CHECK(journal->take_adopted().empty());
  write_spawn(*journal, "web", ::getpid());
  write_spawn(*journal, "db", 1 << 30);
  write_spawn(*journal, "once", 1 << 30);
  RunRecord record{.name = "web", .kind = RunRecord::Kind::started, .main_pid = ::getpid()};
  const Instant started_at = read_clocks().instant;
  REQUIRE(journal->append(record, started_at));
  record.kind = RunRecord::Kind::main_pid;
  REQUIRE(journal->append(record, started_at + std::chrono::seconds(1)));
  REQUIRE(journal->append({.name = "once", .kind = RunRecord::Kind::ended, .latch = Latch{}},
                          read_clocks().instant));
  REQUIRE(journal->append({.name = "db", .kind = RunRecord::Kind::stopping}, read_clocks().instant));

  AdoptedService web = gitproc::web(), db = web, once = web;
  web.main->pid = ::getpid();
  web.was_started = true;
  web.started_at = started_at;
  db.name = "db";
  db.main = AdoptedProcess{.pid = 1 << 30, .is_alive = false};
  db.was_stopping = true;
  once.name = "once";
  once.main.reset();
  once.latch = Latch{};
  const std::vector<AdoptedService> expected = {db, once, web};
  // Every opening compacts it.
  for (int opened = 0; opened < 3; ++opened)
    CHECK(same(RunJournal::open(path, "boot")->take_adopted(), expected));

  int fd = RunJournal::open(path, "boot")->fd();
  CHECK(fd >= 3);
  Result<RunJournal> again = RunJournal::open(path, "boot");
  int fd_before = again->fd();
  REQUIRE(again->compact());
  CHECK(again->fd() == fd_before);
  CHECK((::fcntl(again->fd(), F_GETFD) & FD_CLOEXEC) != 0);
  write_spawn(*again, "late", ::getpid());
  CHECK(RunJournal::open(path, "boot")->take_adopted().size() == 4);
  CHECK(RunJournal::open(path, "new-boot")->take_adopted().empty());
}

TEST_CASE("a journal does not grow without bound, whatever happens to its services") {
  TemporaryDirectory directory;
  const std::string path = directory / "runs.journal";
  Result<RunJournal> journal = RunJournal::open(path, "boot");
  struct stat status{};
  for (int i = 0; i < 40'000; ++i) {
    write_spawn(*journal, "web", 1 << 30);
    if (journal->is_large()) REQUIRE(journal->compact());
  }
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK(static_cast<std::uint64_t>(status.st_size) < RunJournal::compaction_bytes + 200);
  CHECK(RunJournal::open(path, "boot")->take_adopted().size() == 1);
}

TEST_CASE("a record that cannot be written is an error") {
  TemporaryDirectory directory;
  Result<RunJournal> journal = RunJournal::open(directory / "runs.journal", "boot");
  UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  if (!full) GITPROC_SKIP("there is no /dev/full");
  REQUIRE(::dup3(full.get(), journal->fd(), O_CLOEXEC) >= 0);
  CHECK(journal->append({.name = "web", .kind = RunRecord::Kind::stopping}, {})
            .error()
            .message.ends_with("no space left on device"));
}

}  // namespace
}  // namespace gitproc
