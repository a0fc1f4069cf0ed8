#include "drivers/git/tool.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "drivers/base/system_call.h"
#include "drivers/base/unique_fd.h"

namespace gitproc {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array<const char*, 6> tool_directories = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                                         "/usr/bin",        "/sbin",          "/bin"};
// Descriptors of the parent are moved up here, so that none is in the way of the child's.
constexpr int lowest_source_fd = 64;
constexpr std::size_t max_tool_files = 8;
constexpr unsigned nobody = 65534;
constexpr rlim_t max_tool_memory_bytes = 512u << 20;
constexpr rlim_t max_tool_cpu_seconds = 10;

Result<UniqueFd> moved_up(const UniqueFd& fd) {
  int moved = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, lowest_source_fd);
  if (moved < 0) return fail_with_errno("cannot duplicate a descriptor");
  return UniqueFd(moved);
}

Result<UniqueFd> file_in_memory(const std::string& bytes) {
  UniqueFd file(::memfd_create("gitproc", MFD_CLOEXEC));
  if (!file) return fail_with_errno("cannot make a file in memory");
  if (int error = write_all(file.get(), bytes); error != 0)
    return fail_with_errno("cannot write a file in memory", error);
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_with_errno("cannot rewind a file in memory");
  return moved_up(file);
}

// What the child needs, prepared by the parent, whose memory it uses until it has become another program.
struct ChildPlan {
  const char* program = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  std::array<int, 3 + max_tool_files> descriptors{};  // by their number in the child
  std::size_t descriptor_count = 0;
  bool is_root = false;
  volatile int error = 0;  // errno of what failed
};

void limit(int resource, rlim_t value) {
  rlimit both{value, value};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &both);
}

// Only system calls: a thread of the parent may hold any lock of the library. What cannot be given up is kept, as
// in a container that lacks the right to change users; input and output are the same then.
[[noreturn]] void become_tool(ChildPlan& plan) {
  for (std::size_t i = 0; i < plan.descriptor_count; ++i) {
    if (::dup2(plan.descriptors[i], static_cast<int>(i)) < 0) {
      plan.error = errno;
      ::_exit(127);
    }
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CPU, max_tool_cpu_seconds);
  limit(RLIMIT_AS, max_tool_memory_bytes);
  if (plan.is_root) {
    // glibc's wrappers would change all threads of the parent.
    ::syscall(SYS_setgroups, 0, nullptr);
    ::syscall(SYS_setresgid, nobody, nobody, nobody);
    ::syscall(SYS_setresuid, nobody, nobody, nobody);
  }
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number)
    ::sigaction(number, &by_default, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.program, plan.arguments, plan.environment);
  plan.error = errno;
  ::_exit(127);
}

// The child shares the parent's memory and not its descriptors; the parent's thread waits until it has become the
// program, all signals blocked, for their handlers must not run in the child.
[[gnu::noinline]] pid_t start_child(ChildPlan& plan) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  pid_t pid = ::vfork();  // NOLINT(bugprone-unsafe-functions): the parent waits on purpose
  if (pid == 0) become_tool(plan);
  int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_with_errno("cannot make a pipe");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  auto moved = moved_up(pipe.write);
  if (!moved) return std::unexpected(moved.error());
  pipe.write = *std::move(moved);
  return pipe;
}

// One run of the program; killed, where it still runs, when this goes.
class Running {
 public:
  static Result<Running> start(const std::string& program, const ToolRun& run, Clock::time_point deadline) {
    std::vector<UniqueFd> inputs;
    auto input = file_in_memory(run.input);
    if (!input) return std::unexpected(input.error());
    inputs.push_back(*std::move(input));
    for (const std::string& bytes : run.files) {
      auto file = file_in_memory(bytes);
      if (!file) return std::unexpected(file.error());
      inputs.push_back(*std::move(file));
    }
    auto out = make_pipe();
    if (!out) return std::unexpected(out.error());
    auto err = make_pipe();
    if (!err) return std::unexpected(err.error());

    std::vector<char*> arguments = {const_cast<char*>(program.c_str())};
    for (const std::string& argument : run.arguments)
      arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    char locale[] = "LC_ALL=C", path[] = "PATH=/usr/bin:/bin", home[] = "HOME=/nonexistent";
    std::array<char*, 4> environment = {locale, path, home, nullptr};
    ChildPlan plan{.program = program.c_str(),
                   .arguments = arguments.data(),
                   .environment = environment.data(),
                   .descriptors = {inputs[0].get(), out->write.get(), err->write.get()},
                   .descriptor_count = 3,
                   .is_root = ::geteuid() == 0};
    for (std::size_t i = 1; i < inputs.size() && i <= max_tool_files; ++i)
      plan.descriptors[plan.descriptor_count++] = inputs[i].get();
    pid_t pid = start_child(plan);
    if (pid < 0) return fail_with_errno("cannot run '" + program + "'");
    Running running;
    running.process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    running.deadline_ = deadline;
    running.streams_[0].fd = std::move(out->read);
    running.streams_[1].fd = std::move(err->read);
    if (plan.error != 0) return fail_with_errno("cannot run '" + program + "'", plan.error);
    return running;
  }

  Running(Running&&) noexcept = default;
  Running& operator=(Running&&) noexcept = default;
  ~Running() {
    if (!process_) return;
    ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
    siginfo_t ignored{};
    // Fails where somebody else has collected it.
    (void)retry_on_interrupt(
        [&] { return ::waitid(P_PIDFD, static_cast<id_t>(process_.get()), &ignored, WEXITED); });
  }

  // Both streams have ended, or the run has failed.
  bool is_over() const { return fault_.has_value() || (!streams_[0].fd && !streams_[1].fd); }
  Clock::time_point deadline() const { return deadline_; }
  void expire() { fault_ = Error{"it did not end in time"}; }

  void add_waits(std::vector<pollfd>& waits) const {
    for (const Stream& stream : streams_) {
      if (stream.fd) waits.push_back({.fd = stream.fd.get(), .events = POLLIN, .revents = 0});
    }
  }

  void read(const std::vector<pollfd>& waits) {
    for (Stream& stream : streams_) {
      bool is_ready = stream.fd && std::ranges::any_of(waits, [&](const pollfd& wait) {
                        return wait.fd == stream.fd.get() && wait.revents != 0;
                      });
      if (!is_ready) continue;
      std::array<char, 4096> buffer;
      ssize_t count =
          retry_on_interrupt([&] { return ::read(stream.fd.get(), buffer.data(), buffer.size()); });
      if (count < 0) fault_ = system_error("cannot read what it prints", errno);
      if (count <= 0) stream.fd.reset();
      if (count > 0) stream.text.append(buffer.data(), static_cast<std::size_t>(count));
      if (stream.text.size() > max_tool_words_bytes) fault_ = Error{"it prints too much"};
    }
  }

  Result<ToolWords> take() {
    if (fault_) return std::unexpected(*fault_);
    return ToolWords{.out = std::move(streams_[0].text), .err = std::move(streams_[1].text)};
  }

 private:
  struct Stream {
    UniqueFd fd;
    std::string text;
  };

  Running() = default;

  UniqueFd process_;
  Clock::time_point deadline_;
  std::array<Stream, 2> streams_;
  std::optional<Error> fault_;
};

struct Place {
  std::size_t index = 0;
  Running running;
};

void wait_for(std::vector<Place>& running) {
  std::vector<pollfd> waits;
  Clock::time_point next = Clock::time_point::max();
  for (const Place& place : running) {
    place.running.add_waits(waits);
    next = std::min(next, place.running.deadline());
  }
  auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
  int timeout = static_cast<int>(std::max<decltype(left)>(left, 0));
  int ready = retry_on_interrupt([&] { return ::poll(waits.data(), waits.size(), timeout); });
  for (Place& place : running) {
    if (ready > 0) place.running.read(waits);
    if (!place.running.is_over() && Clock::now() >= place.running.deadline()) place.running.expire();
  }
}

}  // namespace

Result<std::string> find_tool(const std::string& name) {
  for (const char* directory : tool_directories) {
    std::string path = std::string(directory) + "/" + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return fail(name + " is not installed", ErrorCode::not_found);
}

std::vector<Result<ToolWords>> run_tool(const std::string& program, std::span<const ToolRun> runs,
                                        std::chrono::milliseconds deadline) {
  std::vector<Result<ToolWords>> results(runs.size(), ToolWords{});
  std::vector<Place> running;
  std::size_t next = 0;
  while (next < runs.size() || !running.empty()) {
    while (next < runs.size() && running.size() < parallel_tools) {
      auto started = Running::start(program, runs[next], Clock::now() + deadline);
      if (started) {
        running.push_back({next, *std::move(started)});
      } else {
        results[next] = std::unexpected(started.error());
      }
      ++next;
    }
    if (running.empty()) continue;
    wait_for(running);
    std::erase_if(running, [&](Place& place) {
      if (!place.running.is_over()) return false;
      results[place.index] = place.running.take();
      return true;
    });
  }
  for (Result<ToolWords>& result : results) {
    bool is_about_program = !result && result.error().message.find(program) == std::string::npos;
    if (is_about_program) result.error().message = "cannot ask '" + program + "': " + result.error().message;
  }
  return results;
}

}  // namespace gitproc
