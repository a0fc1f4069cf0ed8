// Writes the durable state on a thread of its own, so that a slow disk delays nobody but those who wait for
// durability. States are numbered by the caller; at most one is being written and only the newest one waits,
// for a newer state includes all that the older ones said.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "drivers/base/unique_fd.h"
#include "drivers/store/state_store.h"
#include "reconcile/base/error.h"
#include "reconcile/durable.h"

namespace gitproc {

class StoreWriter {
 public:
  // A write that failed is tried again after this time, with the newest state of then.
  static constexpr std::chrono::milliseconds retry_delay{1000};

  // `store` is used by the thread only, from now until the writer is gone.
  static Result<std::unique_ptr<StoreWriter>> start(StateStore& store,
                                                    std::chrono::milliseconds retry = retry_delay);
  // Tries once to write what still waits, then ends the thread.
  ~StoreWriter();
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  // `version` grows from call to call, from 1.
  void submit(DurableState state, std::uint64_t version);

  // An eventfd(2), readable when a version became durable or a write failed, until acknowledge().
  int fd() const { return event_.get(); }
  void acknowledge();

  // The newest version that is on the disk; 0 before the first.
  std::uint64_t durable_version() const;
  // Why the last write failed; nullopt after a good one.
  std::optional<Error> last_error() const;

 private:
  StoreWriter(StateStore& store, UniqueFd event, std::chrono::milliseconds retry);
  void run();

  struct Submission {
    DurableState state;
    std::uint64_t version = 0;
  };

  StateStore& store_;
  const UniqueFd event_;
  const std::chrono::milliseconds retry_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Submission> waiting_;  // this and the three below: under mutex_
  bool is_ending_ = false;
  std::uint64_t durable_version_ = 0;
  std::optional<Error> last_error_;
  std::thread thread_;
};

}  // namespace gitproc
