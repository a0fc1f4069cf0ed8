// What the worlds of the Reconciler's stories have in common: commits that are kept and told of as a git driver would,
// time that is driven, requests and their answers. Each story's own world derives from it, carries out the commands it
// is about, and does not look at the others; everything happens at once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "reconcile/reconciler.h"

namespace gitproc {

inline ObjectId id_of(unsigned number) {
  ObjectId id;
  id.bytes[18] = static_cast<std::uint8_t>(number >> 8);
  id.bytes[19] = static_cast<std::uint8_t>(number);
  return id;
}

inline CommitInfo info_of(const ObjectId& commit) {
  return {.id = commit, .tree = commit, .author = "A", .subject = "s", .at = {}};
}

class WorldForTests {
 public:
  WorldForTests() = default;
  WorldForTests(const WorldForTests&) = delete;
  WorldForTests& operator=(const WorldForTests&) = delete;
  virtual ~WorldForTests() = default;

  void happens(Event event) {
    events.push_back(std::move(event));
    settle();
  }
  // Until nothing is to be done.
  void settle() {
    constexpr int more_than_any_story_takes = 2000;
    for (int round = 0; round < more_than_any_story_takes; ++round) {
      bool is_due = reconciler->next_deadline() <= now.instant;
      if (events.empty() && !is_due && round > 0) return;
      step();
    }
    throw std::runtime_error("the world does not come to rest");
  }
  void wait(Duration span) {
    Instant end = now.instant + span;
    while (reconciler->next_deadline() <= end) {
      Instant next = std::max(now.instant, reconciler->next_deadline());
      now.wall += next - now.instant;
      now.instant = next;
      settle();
    }
    now.wall += end - now.instant;
    now.instant = end;  // nothing is due: an agent sleeps
  }

  // --- people ---
  void commit(unsigned number, const std::vector<UnitPtr>& units) {
    UnitMap map;
    for (const UnitPtr& unit : units)
      map.emplace(unit->name, unit);
    commits[id_of(number)] = std::move(map);
    move(number);
  }
  void broken_commit(unsigned number) {
    broken.insert(id_of(number));
    move(number);
  }
  void move(unsigned number) {
    tip = id_of(number);
    happens(TipObserved{branch, tip, ""});
  }
  std::string sync(bool retries = false) {
    RequestId id{++last_request};
    happens(SyncRequested{.request = id, .waits = true, .retries = retries, .by = "uid 0"});
    return answer_of(id);
  }
  std::string rollback(std::optional<unsigned> number) {
    RequestId id{++last_request};
    happens(RollbackRequested{.request = id, .commit = number_to_id(number), .by = "uid 0", .reason = ""});
    return answer_of(id);
  }
  std::string approve(std::optional<unsigned> number = std::nullopt) {
    RequestId id{++last_request};
    happens(ApproveRequested{.request = id, .commit = number_to_id(number), .by = "uid 0"});
    return answer_of(id);
  }
  // "done", what was refused, or "(waiting)".
  std::string answer_of(RequestId id) { return answers.contains(id) ? answers[id] : "(waiting)"; }

  std::string sync_state() { return std::string(to_string(reconciler->node().sync)); }

  // --- the drivers ---
  // Tells what a load finds: what changed since the last one, or why it is no commit to run.
  void carry_out(const LoadCommit& load) {
    if (unreadable.contains(load.commit)) {
      events.push_back(CommitUnreadable{load.commit, "missing object"});
    } else if (broken.contains(load.commit)) {
      events.push_back(CommitRejected{
          info_of(load.commit), {{"web.service", 3, 1, Severity::error, "bad value"}}, verified_by(load)});
    } else {
      events.push_back(CommitLoaded{.commit = info_of(load.commit),
                                    .changes = changes_to(commits[load.commit]),
                                    .warnings = {},
                                    .verified = verified_by(load)});
    }
  }
  void carry_out(const ExportTree& tree) { events.push_back(TreeExported{tree.commit, ""}); }
  void carry_out(const SetMarker& marker) {
    markers.erase(marker.marker);
    if (marker.commit) markers.emplace(marker.marker, *marker.commit);
  }
  void carry_out(const Preflight& check) {
    events.push_back(PreflightChecked{check.service, check.unit->fingerprint,
                                      missing.contains(check.unit->name) ? "no executable" : ""});
  }
  void carry_out(const CheckConditions& check) {
    events.push_back(ConditionsChecked{check.service, true, false, ""});
  }
  void carry_out(const Answer& answer) {
    answers[answer.request] = answer.error ? answer.error->message : "done";
  }
  void carry_out(const Spawn&) {}
  void carry_out(const Kill&) {}
  void carry_out(const AwaitMainPid&) {}
  void carry_out(const CleanUp&) {}
  void carry_out(const Fetch&) {}
  void carry_out(const CompareTips&) {}
  void carry_out(const MoveBranch&) {}
  void carry_out(const AdjustLimits&) {}
  void carry_out(const FindSurvivors&) {}
  void carry_out(const StartProbe&) {}
  void carry_out(const CancelProbe&) {}
  void carry_out(const RunRecord&) {}
  void carry_out(const Announce&) {}
  void carry_out(const ExitAgent&) {}

  std::unique_ptr<Reconciler> reconciler;
  Now now{Instant(std::chrono::hours(1)), WallTime(std::chrono::hours(1000))};
  std::vector<Event> events;
  std::map<ObjectId, UnitMap> commits;
  std::set<ObjectId> broken, unreadable;
  std::set<std::string> missing;  // services whose executable is not there
  std::optional<ObjectId> tip;
  std::string branch = "main";
  UnitMap catalog;  // what was loaded last
  std::map<RequestId, std::string> answers;
  std::map<Marker, ObjectId> markers;
  Pid last_pid = 100;
  std::uint64_t last_request = 0;

 protected:
  // Steps the reconciler once with all events, and carries out what it commands.
  virtual void step() = 0;
  // What the signatures say of it, where the story is about them.
  virtual std::optional<VerifiedCommit> verified_by(const LoadCommit&) const { return std::nullopt; }

 private:
  static std::optional<ObjectId> number_to_id(std::optional<unsigned> number) {
    return number ? std::optional(id_of(*number)) : std::nullopt;
  }
  std::vector<UnitChange> changes_to(const UnitMap& wanted) {
    std::vector<UnitChange> changes;
    for (const auto& [name, unit] : wanted) {
      auto known = catalog.find(name);
      if (known == catalog.end() || known->second != unit) changes.push_back({name, unit});
    }
    for (const auto& [name, unit] : catalog) {
      if (!wanted.contains(name)) changes.push_back({name, nullptr});
    }
    catalog = wanted;
    return changes;
  }
};

}  // namespace gitproc
