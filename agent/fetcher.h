// Fetching, as the loop sees it: two worker processes, a pipe between them, and a watch on both.
//
//   git thread: what is here -> receiver: branches -> (something is new) indexer beside it -> both have ended well
//   -> git thread: the pack into place, the refs moved, TipObserved -> Fetched
//
// The agent never reads the network nor the pack. A worker that shows no sign of life for the time-out is killed, and
// so is every fetch that takes longer than the longest.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "agent/git_worker.h"
#include "agent/remote_settings.h"
#include "drivers/base/unique_fd.h"
#include "drivers/git/fetch_process.h"
#include "reconcile/event.h"

namespace asio {
class io_context;
}

namespace gitproc {

// However much a slow remote shows that it lives.
inline constexpr std::chrono::hours longest_fetch{1};

class Fetcher {
 public:
  struct Options {
    RemoteSettings remote;
    std::string state_dir;
    std::string program = "/proc/self/exe";
  };
  using OnImported = std::function<void(Result<OfferedRefs>)>;

  Fetcher(asio::io_context& loop, GitWorker& git, Options options);
  ~Fetcher();
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  // -> Fetched, once, after the TipObserved of what it brought.
  void fetch(std::function<void(Fetched)> on_end);
  // Takes commits from a bundle. busy while a fetch or another import runs.
  void import(UniqueFd bundle, OnImported on_end);

  // "receiving 1.2 MiB, 17 of 230 objects"; "" when nothing is fetched.
  std::string progress() const;
  // The remote's address without its secrets.
  const std::string& shown_url() const { return shown_url_; }

 private:
  class Run;

  asio::io_context& loop_;
  GitWorker& git_;
  const Options options_;
  const WorkerAccount account_;
  std::string shown_url_;
  std::shared_ptr<Run> run_;  // under way
};

}  // namespace gitproc
