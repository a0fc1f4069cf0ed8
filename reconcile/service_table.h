// The services of this node and their relations, by id: what the Reconciler remembers of each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/actual/service.h"
#include "reconcile/base/defaulted.h"
#include "reconcile/base/ids.h"
#include "reconcile/base/rare.h"
#include "reconcile/lifecycle/lifecycle.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// The relations of one service to another, as bits.
enum class Relation : std::uint16_t {
  requires_ = 1 << 0,
  requisite = 1 << 1,
  binds_to = 1 << 2,
  wants = 1 << 3,
  part_of = 1 << 4,
  conflicts = 1 << 5,
  after = 1 << 6,   // After= of this one
  before = 1 << 7,  // Before= of this one
};

class Relations {
 public:
  constexpr void add(Relation relation) { bits_ |= static_cast<std::uint16_t>(relation); }
  constexpr bool has(Relation relation) const { return (bits_ & static_cast<std::uint16_t>(relation)) != 0; }
  // Requires=, Requisite= or BindsTo=: it cannot start without the other.
  constexpr bool is_hard() const {
    return has(Relation::requires_) || has(Relation::requisite) || has(Relation::binds_to);
  }
  // A stop or restart of the other reaches this one (systemd.unit(5): Requires=, BindsTo=, PartOf=).
  constexpr bool takes_stops() const { return is_hard() || has(Relation::part_of); }
  constexpr bool is_empty() const { return bits_ == 0; }

 private:
  std::uint16_t bits_ = 0;
};

struct Edge {
  ServiceId other;
  Relations relations;
};

// Why a service that is up must go down. Stored until it is down (never derived again from a timer).
struct StopMark {
  StopCause cause = StopCause::operator_request;
  std::string reason;
};

// A restart that was decided but not begun: the new unit is checked first (Preflight).
struct RestartIntent {
  std::string reason;
  bool is_by_commit = false;  // waits for its wave
  bool is_checked = false;    // Preflight is under way
};

// The waves in which one commit is applied; a wave begins when the one before has settled.
enum class Wave : std::uint8_t { removed, changed, added };

// Why a service that is wanted and down is not being started.
enum class Wait : std::uint8_t {
  none,
  ordering,    // for others to start or stop: it will go on by itself, soon
  dependency,  // for something that failed, is held or conflicts: it goes on when that changes
};

struct Service {
  explicit Service(ServiceId service_id, std::string service_name)
      : name(std::move(service_name)), life(service_id), id(service_id) {}

  const std::string name;
  UnitPtr desired;  // of the commit that is being applied; null when it is in no commit (any more)
  Defaulted<std::optional<ObjectId>> commit;  // that brought `desired`
  Lifecycle life;

  // Relations by this service's own unit, and those that others' units have to it.
  Defaulted<std::vector<Edge>> out;
  Defaulted<std::vector<Edge>> in;

  Rare<StopMark> stop_mark;
  Rare<RestartIntent> restart_intent;
  RareText preflight_error;  // why the old instance was left running
  Rare<Latch> latch;
  RareText waits_for;             // words for `wait`
  Defaulted<std::string> reason;  // what started, stopped or restarted it last; of most it is the same
  const ServiceId id;
  std::optional<Wave> wave;  // unsettled part of the commit being applied
  Wait wait = Wait::none;
  bool is_found = false;       // left by an earlier agent, and not adopted yet
  bool is_pulled_in = false;   // started because another one requires or wants it
  bool is_on_trial = false;    // its content has to prove itself (rollback.cpp)
  bool is_reload_due = false;  // for a change that came while it was reloading
  bool is_queued = false;

  // Bookkeeping of what was counted and told last.
  ServiceState shown_state = ServiceState::stopped;
  bool is_shown = false;
  bool is_counted_up = false;
  Instant armed = never;
};

class ServiceTable {
 public:
  struct ByName {
    using is_transparent = void;
    static std::string_view key(const Service* service) { return service->name; }
    static std::string_view key(std::string_view name) { return name; }
    bool operator()(const auto& a, const auto& b) const { return key(a) < key(b); }
  };
  using Services = std::set<Service*, ByName>;

  // The service of that name; made, without a unit, where there is none.
  Service& intern(std::string_view name);
  Service* find(std::string_view name);
  const Service* find(std::string_view name) const;
  // The service with that id; null when it was removed.
  Service* at(ServiceId id);
  const Service* at(ServiceId id) const;

  // Replaces the relations that `service` declares by those of `unit` (null: none).
  void relate(Service& service, const Unit* unit);

  // Drops a service that is in no commit, that no other's unit names, and that has never run or is retired.
  bool remove_if_unused(Service& service);

  const Services& by_name() const { return by_name_; }

 private:
  void connect(Service& from, std::string_view to, Relation relation);

  std::vector<std::unique_ptr<Service>> services_;
  Services by_name_;
};

}  // namespace gitproc
