// The agent's wiring: one loop, on one thread that owns all decisions. Drivers turn what happens into Events; a turn
// reads the clocks once, lets the Reconciler decide, and hands each Command to its driver. What must be remembered is
// given to the store before anybody is told that it was done.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "agent/command_queue.h"
#include "agent/configuration.h"
#include "agent/event_log.h"
#include "agent/fetcher.h"
#include "agent/git_worker.h"
#include "agent/machine.h"
#include "drivers/health/probe_driver.h"
#include "drivers/logs/log_rotator.h"
#include "drivers/process/process_driver.h"
#include "drivers/store/store_writer.h"
#include "reconcile/reconciler.h"

namespace asio {
class io_context;
}

namespace gitproc {

class Daemon {
 public:
  // How a request for services, a sync or a rollback ended.
  using OnAnswer = std::function<void(const Answer&)>;

  struct Parts {
    asio::io_context& loop;
    Configuration configuration;
    Machine machine;
    NodeIdentity node;
    DurableState durable;
    ProcessDriver& processes;
    StoreWriter& store;
    LogRotator& rotator;
    std::vector<std::string> unavailable;  // what this node has to do without, for `status`
  };

  explicit Daemon(Parts parts);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Adopts what an earlier agent left and begins to watch the repository.
  Result<void> start();

  // Hands an Event to the next turn.
  void post(Event event);
  // The same for a request that will be answered; `on_answer` is called once, when it is durable.
  RequestId expect(OnAnswer on_answer);

  // Asks the remote, where there is one, at once; `by` is who wants it.
  void request_fetch(std::string by);

  // Ends the loop when everything is as `stops_services` wants.
  void shut_down(bool stops_services);
  bool is_shutting_down() const { return is_shutting_down_; }

  Reconciler& reconciler() { return *reconciler_; }
  GitWorker& git() { return *git_; }
  Fetcher& fetcher() { return *fetcher_; }
  EventLog& events() { return events_; }
  const Configuration& configuration() const { return configuration_; }
  // Takes over what can be changed without a restart (is_reloadable()) of a configuration that was read again.
  void take_over(const Configuration& read);
  const NodeIdentity& node() const { return node_; }
  const Machine& machine() const { return machine_; }
  ProcessDriver& processes() { return processes_; }
  const std::vector<std::string>& unavailable() const { return unavailable_; }
  void add_unavailable(std::string what);
  WallTime started_at() const { return started_at_; }
  // The tip, while another commit is desired: how far that is behind, and, while pinned, what the tip would do.
  struct Outlook {
    unsigned behind = 0;
    std::string subject;
    bool is_planned = false;
    std::string summary;
    std::string error;  // why it would not be applied
  };
  const Outlook& outlook() const { return outlook_; }
  // For how long the node has not been as git says; 0 while it is.
  Duration sync_lag() const;
  // Told of every change of the node's sync state, at the end of the turn; one listener.
  using OnSync = std::function<void(SyncState)>;
  void on_sync(OnSync on_sync) { on_sync_ = std::move(on_sync); }
  // Why the durable state cannot be written; "" when it can.
  std::string store_problem() const;

 private:
  struct Wiring;
  struct HeldAnswer {
    std::uint64_t version = 0;
    Answer answer;
  };

  void schedule_turn();
  void turn();
  unsigned execute(const Command& command);  // what it cost
  void persist();
  void release_answers();
  void deliver(const Answer& answer);
  void start_probe(const StartProbe& probe);
  void keep_logs(const std::vector<Event>& events);
  void announce(const Announce& announcement);
  void arm_timer();
  void wait_for_processes();
  void wait_for_store();
  void wait_for_logs();
  void look_ahead();
  void follow_branch_override();
  void watch_sync();
  void forget(ServiceId service, const std::string& name);

  Configuration configuration_;
  const Machine machine_;
  const NodeIdentity node_;
  ProcessDriver& processes_;
  StoreWriter& store_;
  LogRotator& rotator_;
  std::vector<std::string> unavailable_;
  std::unique_ptr<Wiring> wiring_;
  std::unique_ptr<Reconciler> reconciler_;
  std::unique_ptr<GitWorker> git_;
  std::unique_ptr<Fetcher> fetcher_;
  std::unique_ptr<ProbeDriver> probes_;
  EventLog events_;
  WallTime started_at_{};

  std::vector<Event> pending_events_;
  CommandQueue pending_commands_;
  bool is_turn_scheduled_ = false;
  bool is_shutting_down_ = false;
  bool has_news_ = false;                // logged since the last flush
  std::uint64_t initial_version_ = 0;    // of the durable state that was read from the disk
  std::uint64_t submitted_version_ = 0;  // given to the store last
  std::deque<HeldAnswer> held_answers_;
  std::map<RequestId, OnAnswer> expected_;
  std::uint64_t last_request_ = 0;
  std::optional<std::string> followed_override_;
  // The desired commit and the tip that it is about, and whether that is planned.
  std::optional<std::tuple<ObjectId, ObjectId, bool>> outlook_of_;
  Outlook outlook_;
  SyncState sync_ = SyncState::progressing;
  Instant unsynced_since_{};
  OnSync on_sync_;
};

}  // namespace gitproc
