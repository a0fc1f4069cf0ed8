#include "agent/fetcher.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <asio.hpp>
#include <optional>
#include <utility>

#include "drivers/base/system_call.h"
#include "drivers/git/remote_url.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t read_bytes = 64u << 10;

std::string size_text(std::uint64_t bytes) {
  constexpr std::uint64_t mebibyte = 1u << 20;
  return bytes < mebibyte ? std::to_string(bytes >> 10) + " KiB" : std::to_string(bytes / mebibyte) + " MiB";
}

std::string seconds_text(Duration span) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(span).count()) + "s";
}

}  // namespace

// One fetch or import, from its beginning to its end. It ends when both workers have, and never calls back twice.
class Fetcher::Run : public std::enable_shared_from_this<Fetcher::Run> {
 public:
  using OnEnd = std::function<void(const std::shared_ptr<Run>&)>;

  Run(Fetcher& fetcher, bool is_import, OnEnd on_end)
      : fetcher_(fetcher),
        is_import_(is_import),
        on_end_(std::move(on_end)),
        silence_(fetcher.loop_),
        total_(fetcher.loop_) {}

  ~Run() { abandon(); }

  void start(UniqueFd bundle) {
    bundle_ = std::move(bundle);
    fetcher_.git_.prepare_fetch([self = shared_from_this()](Result<FetchPreparation> prepared) {
      if (self->has_ended_) return;
      if (!prepared) return self->end_with(Fetched::Fault::failed, prepared.error().message);
      self->prepared_ = *std::move(prepared);
      self->begin_workers();
    });
  }

  // The agent ends: nobody waits any more.
  void abandon() {
    has_ended_ = true;
    on_end_ = nullptr;
    stop_workers();
  }

  std::string progress() const {
    std::string text = stage_;
    if (progress_.bytes != 0) text += " " + size_text(progress_.bytes);
    if (progress_.total_objects != 0) {
      text += ", " + std::to_string(progress_.objects) + " of " + std::to_string(progress_.total_objects) +
              " objects";
    }
    return text;
  }

  Fetched::Fault fault = Fetched::Fault::none;
  std::string error;
  OfferedRefs offered;

 private:
  struct Worker {
    Worker(asio::io_context& loop, WorkerProcess given)
        : process(std::move(given)), messages(loop, process.messages_fd()) {}
    ~Worker() {
      process.kill();
      messages.release();  // the process owns it
    }

    WorkerProcess process;
    asio::posix::stream_descriptor messages;
    MessageReader reader;
    std::array<char, read_bytes> buffer;
    bool is_done = false;  // it said so, and not only ended
    std::string failure;
    Fetched::Fault fault = Fetched::Fault::none;
  };
  using Slot = std::unique_ptr<Worker> Run::*;

  void begin_workers() {
    if (is_import_) {
      if (!start_indexer(bundle_.get())) return;
      bundle_.reset();
    } else {
      int ends[2];
      if (::pipe2(ends, O_CLOEXEC) != 0)
        return end_with(Fetched::Fault::failed, fail_with_errno("cannot make a pipe").error().message);
      pack_.reset(ends[0]);
      UniqueFd write_end(ends[1]);
      const RemoteSettings& remote = fetcher_.options_.remote;
      FetchJob job{.url = remote.url,
                   .username = remote.username,
                   .password_file = remote.password_file,
                   .ssh_key = remote.ssh_key,
                   .known_hosts = remote.known_hosts,
                   .ca_file = remote.ca_file,
                   .scratch = fetcher_.options_.state_dir + "/fetch",
                   .refs = std::move(prepared_.basis.refs),
                   .commits = std::move(prepared_.basis.commits),
                   .uid = fetcher_.account_.uid,
                   .gid = fetcher_.account_.gid};
      if (!start_worker(&Run::receiver_, job, write_end.get())) return;
    }
    watch_total();
    note_life();
  }

  bool start_worker(Slot slot, const WorkerJob& job, int pack_fd) {
    Result<WorkerProcess> started = WorkerProcess::start(fetcher_.options_.program, job, pack_fd);
    if (!started) {
      end_with(Fetched::Fault::failed, started.error().message);
      return false;
    }
    (this->*slot) = std::make_unique<Worker>(fetcher_.loop_, *std::move(started));
    read_from(slot);
    return true;
  }

  bool start_indexer(int pack_fd) {
    IndexJob job{.objects_dir = prepared_.objects_dir,
                 .incoming_dir = prepared_.incoming_dir,
                 .is_bundle = is_import_,
                 .uid = prepared_.owner.uid,
                 .gid = prepared_.owner.gid};
    return start_worker(&Run::indexer_, job, pack_fd);
  }

  void read_from(Slot slot) {
    Worker& worker = *(this->*slot);
    worker.messages.async_read_some(
        asio::buffer(worker.buffer),
        [self = weak_from_this(), slot](const asio::error_code& stopped, std::size_t count) {
          std::shared_ptr<Run> run = self.lock();
          if (!run || run->has_ended_ || !((*run).*slot)) return;
          if (stopped) return run->worker_ended(slot);
          run->take(slot, count);
        });
  }

  void take(Slot slot, std::size_t count) {
    Worker& worker = *(this->*slot);
    note_life();
    auto messages = worker.reader.feed({worker.buffer.data(), count});
    if (!messages) {
      worker.failure = messages.error().message;
      worker.fault = Fetched::Fault::failed;
      return worker_ended(slot);
    }
    for (WorkerMessage& message : *messages) {
      std::visit([&](auto& what) { take(slot, what); }, message);
      if (has_ended_) return;
    }
    read_from(slot);
  }

  void take(Slot, FetchStage& stage) { stage_ = stage.text; }
  void take(Slot, FetchProgress& progress) {
    progress_.bytes = std::max(progress_.bytes, progress.bytes);
    if (progress.total_objects != 0) {
      progress_.objects = progress.objects;
      progress_.total_objects = progress.total_objects;
    }
  }
  void take(Slot slot, OfferedRefs& refs) {
    bool is_first = offered.refs.empty();
    bool may_say_so = is_import_ ? slot == &Run::indexer_ : slot == &Run::receiver_;
    if (!is_first || !may_say_so) return;
    offered = std::move(refs);
    if (is_import_ || !offered.has_pack) return;
    start_indexer(pack_.get());
    pack_.reset();
  }
  void take(Slot slot, PackIndexed& pack) {
    if (slot == &Run::indexer_) pack_name_ = pack.name;
  }
  void take(Slot slot, WorkerDone&) { ((*this).*slot)->is_done = true; }
  void take(Slot slot, WorkerFailed& failed) {
    Worker& worker = *(this->*slot);
    worker.failure = failed.message;
    worker.fault = failed.fault == Fetched::Fault::none ? Fetched::Fault::failed : failed.fault;
  }

  void worker_ended(Slot slot) {
    Worker& worker = *(this->*slot);
    if (!worker.is_done && worker.failure.empty()) {
      worker.failure = "the fetch worker ended before it was done";
      worker.fault = Fetched::Fault::failed;
    }
    // The reason why the other one could not go on comes second.
    if (!worker.failure.empty() && (fault == Fetched::Fault::none || slot == &Run::indexer_) &&
        !is_cut_off_) {
      fault = worker.fault;
      error = worker.failure;
    }
    bool was_receiver = slot == &Run::receiver_;
    bool was_good = worker.failure.empty();
    bool is_echo = worker.failure == pack_not_taken;
    (this->*slot).reset();
    if (!was_good && was_receiver && !is_echo)
      is_cut_off_ = true;                               // what the indexer says then is only its echo
    if (!was_good && !was_receiver) receiver_.reset();  // nobody takes what it still sends
    if (receiver_ || indexer_) return;
    silence_.cancel();
    total_.cancel();
    if (fault != Fetched::Fault::none) return end_with(fault, error);
    install();
  }

  void install() {
    stage_ = "moving the refs";
    fetcher_.git_.install_fetched(pack_name_, offered, [self = shared_from_this()](Result<void> installed) {
      if (self->has_ended_) return;
      if (!installed) return self->end_with(Fetched::Fault::failed, installed.error().message);
      self->end_with(Fetched::Fault::none, "");
    });
  }

  void end_with(Fetched::Fault how, std::string why) {
    if (std::exchange(has_ended_, true)) return;
    fault = how;
    error = std::move(why);
    stop_workers();
    if (on_end_) std::exchange(on_end_, nullptr)(shared_from_this());
  }

  void stop_workers() {
    silence_.cancel();
    total_.cancel();
    receiver_.reset();
    indexer_.reset();
    pack_.reset();
  }

  void note_life() {
    Duration limit = fetcher_.options_.remote.timeout;
    silence_.expires_after(limit);
    silence_.async_wait([self = weak_from_this(), limit](const asio::error_code& stopped) {
      std::shared_ptr<Run> run = self.lock();
      if (stopped || !run || run->has_ended_) return;
      std::string what = run->progress();
      run->end_with(Fetched::Fault::failed,
                    "no sign of life for " + seconds_text(limit) + (what.empty() ? "" : " while " + what));
    });
  }

  void watch_total() {
    total_.expires_after(longest_fetch);
    total_.async_wait([self = weak_from_this()](const asio::error_code& stopped) {
      std::shared_ptr<Run> run = self.lock();
      if (stopped || !run || run->has_ended_) return;
      run->end_with(Fetched::Fault::failed, "it took longer than " + seconds_text(longest_fetch));
    });
  }

  Fetcher& fetcher_;
  const bool is_import_;
  OnEnd on_end_;
  asio::steady_timer silence_, total_;
  FetchPreparation prepared_;
  UniqueFd bundle_;
  UniqueFd pack_;  // what the indexer is to read, until there is one
  std::unique_ptr<Worker> receiver_, indexer_;
  std::string stage_;
  FetchProgress progress_;
  std::string pack_name_;
  bool is_cut_off_ = false;
  bool has_ended_ = false;
};

Fetcher::Fetcher(asio::io_context& loop, GitWorker& git, Options options)
    : loop_(loop), git_(git), options_(std::move(options)), account_(worker_account()) {
  if (Result<RemoteUrl> url = parse_remote_url(options_.remote.url)) shown_url_ = url->shown();
}

Fetcher::~Fetcher() {
  if (run_) run_->abandon();
}

void Fetcher::fetch(std::function<void(Fetched)> on_end) {
  if (run_) return on_end({Fetched::Fault::failed, "cannot fetch: a bundle is being imported"});
  run_ = std::make_shared<Run>(
      *this, false, [this, on_end = std::move(on_end)](const std::shared_ptr<Run>& run) {
        run_.reset();
        std::string error = run->error.empty() ? "" : "cannot fetch '" + shown_url_ + "': " + run->error;
        on_end({run->fault, std::move(error)});
      });
  run_->start({});
}

void Fetcher::import(UniqueFd bundle, OnImported on_end) {
  if (run_) return on_end(fail("cannot import now: the remote is being fetched", ErrorCode::busy));
  run_ =
      std::make_shared<Run>(*this, true, [this, on_end = std::move(on_end)](const std::shared_ptr<Run>& run) {
        run_.reset();
        if (run->fault == Fetched::Fault::none) return on_end(std::move(run->offered));
        on_end(fail("cannot import the bundle: " + run->error));
      });
  run_->start(std::move(bundle));
}

std::string Fetcher::progress() const { return run_ ? run_->progress() : ""; }

}  // namespace gitproc
