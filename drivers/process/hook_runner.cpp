#include "drivers/process/hook_runner.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drivers/base/argument_pointers.h"
#include "drivers/base/system_call.h"
#include "drivers/base/unique_fd.h"

namespace gitproc {
namespace {

bool sets_same_variable(std::string_view left, std::string_view right) {
  return left.substr(0, left.find('=')) == right.substr(0, right.find('='));
}

std::vector<std::string> with_own_environment(const std::vector<std::string>& environment) {
  std::vector<std::string> all = environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    bool is_overridden = false;
    for (const std::string& given : environment)
      is_overridden = is_overridden || sets_same_variable(given, *variable);
    if (!is_overridden) all.emplace_back(*variable);
  }
  return all;
}

// A file in memory rather than a pipe: a command that does not read its input makes nobody wait.
Result<UniqueFd> file_with(const std::string& text) {
  UniqueFd file(::memfd_create("gitproc-notice", MFD_CLOEXEC));
  if (!file) return fail_with_errno("cannot make the input of the command");
  if (int error = write_all(file.get(), text); error != 0)
    return fail_with_errno("cannot write the input of the command", error);
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_with_errno("cannot rewind the input of the command");
  return file;
}

}  // namespace

Result<void> HookRunner::start(const std::vector<std::string>& command,
                               const std::vector<std::string>& environment, const std::string& input) {
  Result<UniqueFd> file = file_with(input);
  if (!file) return std::unexpected(file.error());
  std::vector<std::string> words = command;
  std::vector<std::string> variables = with_own_environment(environment);

  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, file->get(), STDIN_FILENO);
  ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, words.front().c_str(), &files, &attributes, pointers_to(words).data(),
                            pointers_to(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) return fail_with_errno("cannot run '" + words.front() + "'", error);
  pid_ = pid;
  return {};
}

bool HookRunner::ended(Pid pid) {
  if (pid == 0 || pid != pid_) return false;
  pid_ = 0;
  return true;
}

void HookRunner::kill() {
  // Not reaped yet, so the number is still the group's.
  if (pid_ != 0) ::kill(-pid_, SIGKILL);
}

}  // namespace gitproc
