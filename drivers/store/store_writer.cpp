#include "drivers/store/store_writer.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <system_error>
#include <utility>

#include "drivers/base/system_call.h"

namespace gitproc {
namespace {

// Signals are for the loop's thread: the thread made while this lives is born with all of them blocked.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Result<std::unique_ptr<StoreWriter>> StoreWriter::start(StateStore& store, std::chrono::milliseconds retry) {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return fail_with_errno("cannot make an eventfd for the store");
  std::unique_ptr<StoreWriter> writer(new StoreWriter(store, std::move(event), retry));
  try {
    BlockedSignals blocked;
    writer->thread_ = std::thread([raw = writer.get()] { raw->run(); });
  } catch (const std::system_error& error) {
    return fail_with_errno("cannot start the store thread", error.code().value());
  }
  return writer;
}

StoreWriter::StoreWriter(StateStore& store, UniqueFd event, std::chrono::milliseconds retry)
    : store_(store), event_(std::move(event)), retry_(retry) {}

StoreWriter::~StoreWriter() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void StoreWriter::submit(DurableState state, std::uint64_t version) {
  {
    std::lock_guard lock(mutex_);
    waiting_ = Submission{std::move(state), version};
  }
  wake_.notify_one();
}

void StoreWriter::acknowledge() {
  eventfd_t count = 0;
  // EAGAIN, where nothing had happened, is as good as a count.
  eventfd_read(event_.get(), &count);
}

std::uint64_t StoreWriter::durable_version() const {
  std::lock_guard lock(mutex_);
  return durable_version_;
}

std::optional<Error> StoreWriter::last_error() const {
  std::lock_guard lock(mutex_);
  return last_error_;
}

void StoreWriter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return waiting_ || is_ending_; });
    if (!waiting_) return;
    Submission submission = std::move(*waiting_);
    waiting_.reset();

    lock.unlock();
    Result<void> saved = store_.save(submission.state);
    lock.lock();

    if (saved) {
      durable_version_ = submission.version;
      last_error_.reset();
    } else {
      last_error_ = saved.error();
      // What was submitted meanwhile is newer, and includes it.
      if (!waiting_) waiting_ = std::move(submission);
    }
    // Cannot fail: the counter is far from its maximum.
    eventfd_write(event_.get(), 1);
    if (!saved) {
      if (is_ending_) return;
      // A full disk does not get better by asking all the time; nor does a newer submission make it so.
      wake_.wait_for(lock, retry_, [this] { return is_ending_; });
    }
  }
}

}  // namespace gitproc
