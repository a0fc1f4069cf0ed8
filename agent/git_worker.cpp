#include "agent/git_worker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>
#include <variant>

#include "drivers/base/system_call.h"
#include "drivers/git/commit_loader.h"
#include "drivers/git/ref_watcher.h"
#include "drivers/git/signatures.h"
#include "drivers/git/tree_export.h"
#include "drivers/git/tree_watcher.h"

namespace gitproc {
namespace {

// Between two times that the exported tree is put back.
constexpr std::chrono::seconds shortest_restore_interval{1};
// Who changes it while it is put back is left to the next time.
constexpr int max_restore_rounds = 3;

Diagnostics diagnostics_of(const std::vector<std::string>& reasons) {
  Diagnostics errors;
  for (const std::string& reason : reasons)
    errors.push_back({.file = "", .severity = Severity::error, .message = reason});
  return errors;
}

}  // namespace

// The state of the git thread.
struct GitWorker::Thread {
  Thread(const Options& given, const Post& given_post, const OnEvent& given_on_event,
         const OnWarning& given_on_warning)
      : options(given),
        post(given_post),
        on_event(given_on_event),
        on_warning(given_on_warning),
        branch(given.branch),
        signatures(given.signatures),
        exporter(given.state_dir) {}

  // Opens what is not open yet; on an error `problem` says why.
  bool open() {
    if (loader) return true;
    Result<Repository> repository = Repository::open(options.repository);
    if (!repository) {
      problem = repository.error().message;
      return false;
    }
    std::string git_dir = repository->git_dir();
    std::string common_dir = repository->common_dir();
    loader.emplace(*std::move(repository), options.catalog);
    Result<RefWatcher> opened = RefWatcher::open(git_dir, common_dir);
    if (opened) {
      watcher.emplace(*std::move(opened));
    } else {
      warn("the repository is polled, because it cannot be watched: " + opened.error().message);
    }
    problem.clear();
    return true;
  }

  std::string followed_branch() {
    if (branch) return *branch;
    if (loader) {
      if (Result<std::string> head = loader->repository().head_branch()) return *head;
    }
    return std::string(default_branch);
  }

  // Tells the loop when the branch is not what was told last.
  void observe() {
    TipObserved observed;
    if (!open()) {
      observed.branch = followed_branch();
      observed.error = problem;
    } else {
      observed.branch = followed_branch();
      Result<std::optional<ObjectId>> tip = loader->repository().tip(observed.branch);
      Result<std::optional<ObjectId>> remote_tip =
          loader->repository().ref("refs/remotes/origin/" + observed.branch);
      if (remote_tip) observed.remote_tip = *remote_tip;
      if (!tip || !remote_tip) {
        observed.error = (tip ? remote_tip : tip).error().message;
      } else if (!*tip && !*remote_tip) {
        observed.error = "branch '" + observed.branch + "' does not exist in '" + options.repository + "'";
      } else {
        observed.tip = *tip;
      }
    }
    bool is_news = !told || told->branch != observed.branch || told->tip != observed.tip ||
                   told->remote_tip != observed.remote_tip || told->error != observed.error;
    if (!is_news) return;
    told = observed;
    emit(std::move(observed));
  }

  // The outcome of a LoadCommit. Nothing of a commit that the policy refuses is looked at but its author and subject.
  LoadOutcome load(const LoadCommit& command) {
    if (!open()) return CommitUnreadable{command.commit, problem};
    Repository& repository = loader->repository();
    std::optional<VerifiedCommit> verified;
    if (signatures.is_set() && !command.was_applied) {
      auto judgement =
          judge_commit(repository, signatures, {command.commit, command.branch, command.verified});
      if (!judgement) return CommitUnreadable{command.commit, judgement.error().message};
      if (!judgement->reasons.empty()) {
        auto info = repository.commit_info(command.commit);
        if (!info) return CommitUnreadable{command.commit, info.error().message};
        return CommitRejected{*std::move(info), diagnostics_of(judgement->reasons), std::nullopt};
      }
      verified = judgement->verified;
    }
    LoadOutcome outcome = loader->load(command.commit);
    if (auto* loaded = std::get_if<CommitLoaded>(&outcome)) loaded->verified = verified;
    if (auto* rejected = std::get_if<CommitRejected>(&outcome)) rejected->verified = verified;
    return outcome;
  }

  // After an export. What was exported is watched anew only where it is in another folder.
  void watch_tree(const ObjectId& commit) {
    exported = commit;
    std::string folder = exporter.folder_in_use();
    if (folder == watched_folder) return;
    watched_folder = folder;
    tree_watcher.watch(folder);
  }

  bool is_tree_elsewhere() const { return exported && exporter.folder_in_use() != watched_folder; }

  // Puts the exported tree back where it was changed by hand. A writer that does not stop costs no more than a tenth
  // of this thread's time.
  void restore_tree() {
    using Clock = std::chrono::steady_clock;
    Clock::time_point begin = Clock::now();
    if (!exported || begin < next_restore || !open()) return;
    bool was_changed = false;
    for (int round = 0; round < max_restore_rounds; ++round) {
      // Watched before it is looked at, so that nothing falls between; what was put back is another folder.
      watched_folder = exporter.folder_in_use();
      tree_watcher.watch(watched_folder);
      Result<bool> restored = exporter.restore(loader->repository(), *exported);
      if (!restored) warn("the exported tree cannot be put back: " + restored.error().message);
      if (!restored || !*restored) break;
      was_changed = true;
    }
    if (was_changed) emit(TreeRestored{*exported});
    exporter.remove_discarded();
    Clock::time_point end = Clock::now();
    next_restore = end + std::max<Clock::duration>(shortest_restore_interval, 10 * (end - begin));
  }

  bool may_restore() const { return std::chrono::steady_clock::now() >= next_restore; }

  void emit(Event event) {
    post([this_event = std::move(event), deliver = on_event] { deliver(this_event); });
  }

  void warn(std::string text) {
    post([text = std::move(text), deliver = on_warning] { deliver(text); });
  }

  const Options& options;
  const Post& post;
  const OnEvent& on_event;
  const OnWarning& on_warning;
  std::optional<std::string> branch;
  SignaturePolicy signatures;
  std::optional<CommitLoader> loader;
  std::optional<RefWatcher> watcher;
  TreeExport exporter;
  TreeWatcher tree_watcher;
  std::string watched_folder;
  std::optional<ObjectId> exported;
  std::chrono::steady_clock::time_point next_restore;
  std::string problem;
  std::optional<TipObserved> told;
};

GitWorker::GitWorker(Options options, Post post, OnEvent on_event, OnWarning on_warning)
    : options_(std::move(options)),
      post_(std::move(post)),
      on_event_(std::move(on_event)),
      on_warning_(std::move(on_warning)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

GitWorker::~GitWorker() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    is_ending_ = true;
    queue_.clear();
  }
  (void)::eventfd_write(wake_.get(), 1);
  thread_.join();
}

void GitWorker::start() {
  thread_ = std::thread([this] { run(); });
}

bool GitWorker::submit(std::function<void(Thread&)> work) {
  {
    std::lock_guard lock(mutex_);
    if (queue_.size() >= queue_limit) return false;
    queue_.push_back(std::move(work));
  }
  (void)::eventfd_write(wake_.get(), 1);
  return true;
}

void GitWorker::run() {
  Thread thread(options_, post_, on_event_, on_warning_);
  thread.observe();
  while (true) {
    // A tree that was put back just now is not looked at, for a while.
    bool may_restore = thread.may_restore();
    pollfd waited[3] = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                        {.fd = thread.watcher ? thread.watcher->fd() : -1, .events = POLLIN, .revents = 0},
                        {.fd = may_restore ? thread.tree_watcher.fd() : -1, .events = POLLIN, .revents = 0}};
    std::chrono::milliseconds interval = thread.watcher ? ref_rescan_interval : ref_poll_interval;
    if (!may_restore) interval = std::min<std::chrono::milliseconds>(interval, shortest_restore_interval);
    int ready = retry_on_interrupt([&] { return ::poll(waited, 3, static_cast<int>(interval.count())); });

    bool must_observe = ready == 0 && may_restore;
    if (must_observe && thread.watcher) (void)thread.watcher->rearm();
    if (waited[2].revents != 0 || (ready == 0 && thread.is_tree_elsewhere())) thread.restore_tree();
    if (waited[1].revents != 0) {
      Result<bool> moved = thread.watcher->drain();
      must_observe = !moved || *moved;
      // What cannot be watched (too many folders, no more watches) is polled, until watching succeeds again.
      if (!moved) {
        thread.warn("the repository is polled, because it cannot be watched: " + moved.error().message);
        thread.watcher.reset();
      }
    }
    if (must_observe) {
      if (thread.loader && !thread.watcher) {
        Repository& repository = thread.loader->repository();
        if (auto again = RefWatcher::open(repository.git_dir(), repository.common_dir()))
          thread.watcher.emplace(*std::move(again));
      }
      thread.observe();
    }

    eventfd_t ignored;
    (void)::eventfd_read(wake_.get(), &ignored);
    while (true) {
      std::function<void(Thread&)> work;
      {
        std::lock_guard lock(mutex_);
        if (is_ending_) return;
        if (queue_.empty()) break;
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      work(thread);
    }
  }
}

void GitWorker::load(const LoadCommit& command) {
  bool is_queued = submit([command](Thread& thread) {
    std::visit([&thread](auto outcome) { thread.emit(std::move(outcome)); }, thread.load(command));
  });
  if (!is_queued) on_event_(CommitUnreadable{command.commit, "too much is asked of the repository at once"});
}

void GitWorker::export_tree(const ObjectId& commit) {
  bool is_queued = submit([commit](Thread& thread) {
    TreeExported outcome{commit, ""};
    if (!thread.open()) {
      outcome.error = thread.problem;
    } else if (Result<void> exported = thread.exporter.export_commit(thread.loader->repository(), commit);
               !exported) {
      outcome.error = exported.error().message;
    }
    bool is_good = outcome.error.empty();
    thread.emit(std::move(outcome));
    thread.exporter.remove_discarded();  // once nobody waits for it
    if (is_good) thread.watch_tree(commit);
  });
  if (!is_queued) on_event_(TreeExported{commit, "too much is asked of the repository at once"});
}

void GitWorker::set_marker(const SetMarker& command) {
  // A marker that cannot be written only costs its protection from gc: the state file knows the commit too.
  (void)submit([command](Thread& thread) {
    if (thread.open()) (void)thread.loader->repository().set_marker(command.marker, command.commit);
  });
}

void GitWorker::follow(std::optional<std::string> branch, const std::function<void()>& done) {
  bool is_queued = submit([branch = std::move(branch), done](Thread& thread) {
    thread.branch = branch ? branch : thread.options.branch;
    thread.observe();
    thread.post(done);
  });
  if (!is_queued) done();
}

void GitWorker::judge_by(SignaturePolicy policy, const std::function<void()>& done) {
  bool is_queued = submit([policy = std::move(policy), done](Thread& thread) {
    thread.signatures = policy;
    thread.post(done);
  });
  if (!is_queued)
    on_warning_("the signature policy is as before: too much is asked of the repository at once");
}

void GitWorker::refresh(const std::function<void()>& done) {
  bool is_queued = submit([done](Thread& thread) {
    thread.observe();
    thread.post(done);
  });
  if (!is_queued) done();
}

// --- remotes ---

void GitWorker::prepare_fetch(const std::function<void(Result<FetchPreparation>)>& then) {
  auto prepare = [](Thread& thread) -> Result<FetchPreparation> {
    if (!thread.open()) return fail(thread.problem);
    Repository& repository = thread.loader->repository();
    Result<FetchBasis> basis = fetch_basis(repository);
    if (!basis) return std::unexpected(basis.error());
    Result<std::string> incoming = make_incoming_folder(repository);
    if (!incoming) return std::unexpected(incoming.error());
    return FetchPreparation{.basis = *std::move(basis),
                            .objects_dir = repository.common_dir() + "/objects",
                            .incoming_dir = *incoming,
                            .owner = repository.owner()};
  };
  bool is_queued = submit([prepare, then](Thread& thread) {
    thread.post([then, prepared = prepare(thread)] { then(prepared); });
  });
  if (!is_queued) then(fail("too much is asked of the repository at once", ErrorCode::busy));
}

void GitWorker::install_fetched(std::string pack, OfferedRefs offered,
                                const std::function<void(Result<void>)>& then) {
  auto install = [pack = std::move(pack), offered = std::move(offered)](Thread& thread) -> Result<void> {
    if (!thread.open()) return fail(thread.problem);
    Repository& repository = thread.loader->repository();
    if (!thread.branch && !offered.head.empty()) {
      if (Result<void> followed = follow_remote_head(repository, offered.head); !followed) return followed;
    }
    return gitproc::install_fetched(repository, pack, offered, thread.followed_branch());
  };
  bool is_queued = submit([install, then](Thread& thread) {
    Result<void> installed = install(thread);
    thread.observe();
    thread.post([then, installed] { then(installed); });
  });
  if (!is_queued) then(fail("too much is asked of the repository at once", ErrorCode::busy));
}

void GitWorker::compare(const CompareTips& command) {
  bool is_queued = submit([question = command.question](Thread& thread) {
    TipsCompared compared{.question = question, .error = ""};
    if (thread.open()) {
      compared = compare_tips(thread.loader->repository(), question);
    } else {
      compared.error = thread.problem;
    }
    thread.emit(std::move(compared));
  });
  if (!is_queued) on_event_(TipsCompared{command.question, "too much is asked of the repository at once"});
}

void GitWorker::move_branch(const MoveBranch& command) {
  (void)submit([command](Thread& thread) {
    if (!thread.open()) return;
    if (Result<void> moved = gitproc::move_branch(thread.loader->repository(), command); !moved)
      thread.warn(moved.error().message);
    thread.observe();
  });
}

void GitWorker::resolve(std::vector<std::string> names,
                        const std::function<void(std::vector<std::string>)>& then) {
  bool is_queued = submit([names, then](Thread& thread) mutable {
    if (thread.loader) {
      for (std::string& name : names)
        name = thread.loader->real_name(name);
    }
    thread.post([names = std::move(names), then] { then(names); });
  });
  if (!is_queued) then(std::move(names));
}

bool GitWorker::ask(Job job) {
  return submit([job = std::move(job)](Thread& thread) {
    bool is_open = thread.open();
    job(is_open ? &thread.loader->repository() : nullptr, thread.problem);
  });
}

}  // namespace gitproc
