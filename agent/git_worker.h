// The git thread: everything that reads the repository happens here, so that a slow disk or a huge commit
// delays no service and no `status`. It watches the followed branch, verifies, loads and exports commits, keeps the
// markers, and runs questions (resolve, count, what changed) for the control socket.
//
// Results are posted to the loop's thread through the `Post` it is given.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "drivers/base/unique_fd.h"
#include "drivers/git/remote_refs.h"
#include "drivers/git/repository.h"
#include "reconcile/base/error.h"
#include "reconcile/command.h"
#include "reconcile/desired/catalog.h"
#include "reconcile/event.h"
#include "reconcile/trust/policy.h"

namespace gitproc {

// What a fetch begins with.
struct FetchPreparation {
  FetchBasis basis;
  std::string objects_dir;
  std::string incoming_dir;
  Owner owner;
};

class GitWorker {
 public:
  struct Options {
    std::string repository;
    std::optional<std::string> branch;  // nullopt: the one that HEAD names
    std::string state_dir;
    Catalog::Options catalog;
    SignaturePolicy signatures;
  };
  // Runs a function on the loop's thread.
  using Post = std::function<void(std::function<void()>)>;
  using OnEvent = std::function<void(Event)>;          // called on the loop's thread
  using OnWarning = std::function<void(std::string)>;  // called on the loop's thread
  // A question; `repository` is null where it cannot be opened, and then `error` says why.
  using Job = std::function<void(Repository* repository, const std::string& error)>;

  // Questions and commands that wait at most; further ones are refused.
  static constexpr std::size_t queue_limit = 1024;

  GitWorker(Options options, Post post, OnEvent on_event, OnWarning on_warning);
  ~GitWorker();
  GitWorker(const GitWorker&) = delete;
  GitWorker& operator=(const GitWorker&) = delete;

  // Reads the branch and begins to watch it.
  void start();

  void load(const LoadCommit& command);      // -> CommitLoaded, CommitRejected, CommitUnreadable
  void export_tree(const ObjectId& commit);  // -> TreeExported
  void set_marker(const SetMarker& command);
  // Follows another branch from now on (nullopt: the configured one). -> TipObserved, and then `done`.
  void follow(std::optional<std::string> branch, const std::function<void()>& done);
  // Judges every commit that is loaded from now on by another policy; then `done`.
  void judge_by(SignaturePolicy policy, const std::function<void()>& done);
  // Reads the branch now, whatever the watcher has seen. -> TipObserved if it moved, and then `done`.
  void refresh(const std::function<void()>& done);
  // --- remotes; `then` is called on the loop's thread ---
  void prepare_fetch(const std::function<void(Result<FetchPreparation>)>& then);
  // Moves pack and refs into place, tells of the new tip (-> TipObserved), and then calls `then`.
  void install_fetched(std::string pack, OfferedRefs offered, const std::function<void(Result<void>)>& then);
  void compare(const CompareTips& command);     // -> TipsCompared
  void move_branch(const MoveBranch& command);  // -> TipObserved, when it moved

  // Calls `then`, on the loop's thread, with the units that these names mean (Alias=, links) in what was loaded
  // last: a name that is no alias means itself.
  void resolve(std::vector<std::string> names, const std::function<void(std::vector<std::string>)>& then);

  // Runs `job` on the git thread; it posts its own answer. False when too many wait already.
  bool ask(Job job);

 private:
  struct Thread;  // what only the git thread touches
  bool submit(std::function<void(Thread&)> work);
  void run();

  const Options options_;
  const Post post_;
  const OnEvent on_event_;
  const OnWarning on_warning_;
  UniqueFd wake_;
  std::mutex mutex_;
  std::deque<std::function<void(Thread&)>> queue_;  // this and the next: under mutex_
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace gitproc
