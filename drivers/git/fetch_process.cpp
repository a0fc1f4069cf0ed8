#include "drivers/git/fetch_process.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "drivers/base/argument_pointers.h"
#include "drivers/base/system_call.h"
#include "drivers/git/fetch_worker.h"

namespace gitproc {
namespace {

// What descriptors of the agent are numbered from here, so that none is in the way of those the worker is given.
constexpr int lowest_source_fd = 16;

UniqueFd duplicated_high(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, lowest_source_fd)); }

// A file in memory instead of a pipe: the agent never waits for the worker to read.
Result<UniqueFd> job_file(const WorkerJob& job) {
  UniqueFd file(::memfd_create("gitproc-job", MFD_CLOEXEC));
  if (!file) return fail_with_errno("cannot hand over the job");
  if (int failed = write_all(file.get(), encode(job)); failed != 0)
    return fail_with_errno("cannot hand over the job", failed);
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_with_errno("cannot hand over the job");
  return file;
}

class SpawnSettings {
 public:
  SpawnSettings() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  void give(int fd, int as) { ::posix_spawn_file_actions_adddup2(&actions_, fd, as); }
  int spawn(pid_t& pid, const char* program, char* const* argv, char* const* environment) {
    return ::posix_spawn(&pid, program, &actions_, &attributes_, argv, environment);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// What ssh needs to find keys and the agent of whoever runs this.
std::vector<std::string> worker_environment() {
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
  for (const char* name : {"HOME", "SSH_AUTH_SOCK"}) {
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

}  // namespace

WorkerAccount worker_account() {
  if (::geteuid() != 0) return {};
  const passwd* user = ::getpwnam(worker_user_name);
  if (user != nullptr && user->pw_uid != 0) return {user->pw_uid, user->pw_gid};
  return {fallback_worker_id, fallback_worker_id};
}

Result<WorkerProcess> WorkerProcess::start(const std::string& program, const WorkerJob& job, int pack_fd) {
  Result<UniqueFd> job_fd = job_file(job);
  if (!job_fd) return std::unexpected(job_fd.error());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_with_errno("cannot start a fetch worker");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  if (::fcntl(read_end.get(), F_SETFL, O_NONBLOCK) != 0)
    return fail_with_errno("cannot start a fetch worker");

  SpawnSettings settings;
  UniqueFd sources[] = {duplicated_high(job_fd->get()), duplicated_high(write_end.get()),
                        duplicated_high(pack_fd)};
  constexpr int targets[] = {STDIN_FILENO, STDOUT_FILENO, worker_pack_fd};
  for (std::size_t i = 0; i < std::size(sources); ++i) {
    if (!sources[i]) return fail_with_errno("cannot start a fetch worker");
    settings.give(sources[i].get(), targets[i]);
  }
  std::vector<std::string> environment = worker_environment();
  char name[] = "gitproc", command[] = "fetch-worker";
  char* argv[] = {name, command, nullptr};
  pid_t pid = 0;
  if (int failed = settings.spawn(pid, program.c_str(), argv, pointers_to(environment).data()); failed != 0)
    return fail_with_errno("cannot start a fetch worker", failed);
  // Before anybody can reap it: the agent does so on this thread.
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) {
    int failed = errno;
    ::kill(pid, SIGKILL);
    return fail_with_errno("cannot watch the fetch worker", failed);
  }
  return WorkerProcess(std::move(pidfd), std::move(read_end));
}

void WorkerProcess::kill() const {
  // It may have ended already, which is as good.
  (void)::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

}  // namespace gitproc
