// The bare loop that everything is measured against: it starts N services with clone3(CLONE_VM | CLONE_VFORK |
// CLONE_PIDFD) and execve, starts again whichever ends, and knows nothing else. SIGTERM ends all and then the
// loop; SIGUSR1 ends service 0, which so starts again. A JSON line on standard output tells what took how long.
//
// Usage: gitproc_bench_loop [--setsid] [--cgroup FOLDER] SERVICES PAUSE FIFO
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Options {
  bool own_session = false;
  std::string cgroup;  // a folder of the v2 tree; empty: the loop's own
  std::size_t services = 0;
  std::string pause;
  std::string fifo;
};

struct Service {
  std::string argument;
  std::string cgroup;
  pid_t pid = -1;
  int pidfd = -1;
};

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "loop: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

struct Child {
  const char* path;
  char* const* argv;
  bool own_session;
};

// Runs on the stack below while the parent waits (CLONE_VFORK); raw calls only, it shares the parent's memory.
extern "C" [[noreturn]] void run_child(const Child* child) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (child->own_session) ::setsid();
  ::execve(child->path, child->argv, environ);
  ::_exit(203);
}

// glibc has no wrapper for clone3, and the child must not return into a frame that it shares with the parent.
long clone_to_child(clone_args* arguments, const Child* child) {
#if defined(__x86_64__)
  register long result asm("rax") = SYS_clone3;
  register const Child* kept asm("r12") = child;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r12, %%rdi\n\t"
      "call run_child\n\t"
      "hlt\n"
      "1:"
      : "+r"(result)
      : "D"(arguments), "S"(sizeof *arguments), "r"(kept)
      : "rcx", "r11", "memory", "cc");
  return result;
#elif defined(__aarch64__)
  register long result asm("x0") = reinterpret_cast<long>(arguments);
  register long size asm("x1") = sizeof *arguments;
  register long number asm("x8") = SYS_clone3;
  register const Child* kept asm("x19") = child;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, #0\n\t"
      "mov x0, x19\n\t"
      "bl run_child\n"
      "1:"
      : "+r"(result)
      : "r"(size), "r"(number), "r"(kept)
      : "memory", "cc");
  return result;
#else
#error "the bare loop knows x86-64 and arm64"
#endif
}

class Loop {
 public:
  explicit Loop(Options options) : options_(std::move(options)), services_(options_.services) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    signals_ = ::signalfd(-1, &signals, SFD_CLOEXEC);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (signals_ == -1 || epoll_ == -1) give_up("cannot set up");
    watch(signals_, options_.services);
  }

  void run() {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < services_.size(); ++i)
      prepare(i);
    for (std::size_t i = 0; i < services_.size(); ++i)
      start(i);
    report("started", begin);
    while (!stopping_)
      turn();
    const auto stop_begin = std::chrono::steady_clock::now();
    for (const Service& service : services_)
      ::kill(service.pid, SIGTERM);
    while (alive_ > 0)
      turn();
    for (const Service& service : services_) {
      if (!service.cgroup.empty()) ::rmdir(service.cgroup.c_str());
    }
    report("stopped", stop_begin);
  }

 private:
  void report(const char* event, std::chrono::steady_clock::time_point begin) const {
    const auto usec =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin)
            .count();
    std::printf("{\"event\": \"%s\", \"services\": %zu, \"usec\": %lld}\n", event, services_.size(),
                static_cast<long long>(usec));
    std::fflush(stdout);
  }

  void watch(int fd, std::size_t index) const {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == -1) give_up("cannot watch");
  }

  void prepare(std::size_t index) {
    Service& service = services_[index];
    service.argument = std::to_string(index) + "," + options_.fifo;
    if (options_.cgroup.empty()) return;
    service.cgroup = options_.cgroup + "/" + std::to_string(index);
    if (::mkdir(service.cgroup.c_str(), 0755) == -1 && errno != EEXIST) give_up(service.cgroup.c_str());
  }

  void start(std::size_t index) {
    alignas(16) static std::array<char, 64u << 10> stack;
    Service& service = services_[index];
    char* const argv[] = {options_.pause.data(), service.argument.data(), nullptr};
    const Child child{options_.pause.c_str(), argv, options_.own_session};
    clone_args arguments{};
    arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&service.pidfd);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<std::uintptr_t>(stack.data());
    arguments.stack_size = stack.size();
    int cgroup = -1;
    if (!service.cgroup.empty()) {
      cgroup = ::open(service.cgroup.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
      if (cgroup == -1) give_up(service.cgroup.c_str());
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<std::uint64_t>(cgroup);
    }
    const long pid = clone_to_child(&arguments, &child);
    if (cgroup != -1) ::close(cgroup);
    if (pid < 0) {
      errno = static_cast<int>(-pid);
      give_up("cannot start a service");
    }
    service.pid = static_cast<pid_t>(pid);
    ++alive_;
    watch(service.pidfd, index);
  }

  void ended(std::size_t index) {
    Service& service = services_[index];
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, service.pidfd, nullptr);
    ::close(service.pidfd);
    ::waitpid(service.pid, nullptr, 0);
    --alive_;
    if (!stopping_) start(index);
  }

  void signalled() {
    signalfd_siginfo info;
    if (::read(signals_, &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo != SIGUSR1) {
      stopping_ = true;
    } else if (!services_.empty()) {
      ::kill(services_[0].pid, SIGTERM);
    }
  }

  void turn() {
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(epoll_, events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const std::size_t index = events[static_cast<std::size_t>(i)].data.u64;
      if (index == services_.size()) {
        signalled();
      } else {
        ended(index);
      }
    }
  }

  Options options_;
  std::vector<Service> services_;
  int epoll_ = -1;
  int signals_ = -1;
  std::size_t alive_ = 0;
  bool stopping_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; ++at) {
    const std::string option = argv[at];
    if (option == "--setsid") {
      options.own_session = true;
    } else if (option == "--cgroup" && at + 1 < argc) {
      options.cgroup = argv[++at];
    } else {
      break;
    }
  }
  if (argc - at != 3) {
    std::fprintf(stderr, "usage: %s [--setsid] [--cgroup FOLDER] SERVICES PAUSE FIFO\n", argv[0]);
    return 2;
  }
  options.services = std::strtoull(argv[at], nullptr, 10);
  options.pause = argv[at + 1];
  options.fifo = argv[at + 2];
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  Loop(std::move(options)).run();
}
