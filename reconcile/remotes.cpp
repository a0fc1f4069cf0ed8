// The remote: when it is fetched, which tip the branch means then, and who waits for it.
//
//   schedule, sync, webhook -> Fetch -> (TipObserved) Fetched
//   TipObserved with the remote's tip -> CompareTips -> TipsCompared -> the tip is followed, or held
//   the tip is followed, and has met the signature policy where there is one -> MoveBranch, for the local branch
#include <algorithm>

#include "reconcile/state.h"
#include "reconcile/tip_choice.h"

namespace gitproc {

bool Reconciler::State::has_remote() const { return options.remote || durable.follows_imports; }

void Reconciler::State::take(const TipObserved& event) {
  if (event.branch != branch) {
    remote.hold.reset();
    remote.asked.reset();
  }
  branch = event.branch;
  retry_at = never;
  remote.observed = event;
  observe_tips();
}

void Reconciler::State::observe_tips() {
  if (!remote.observed) return;
  const TipObserved& event = *remote.observed;
  remote.move.reset();
  if (!has_remote() || !event.remote_tip) {
    remote.hold.reset();
    remote.asked.reset();
    tip_error = event.tip ? "" : event.error;
    // Before the first fetch has ended there is nothing wrong yet; after it, why it failed says more.
    if (!event.tip && options.remote && !remote.last_success) tip_error = remote.error;
    set_tip(event.tip);
    return;
  }
  tip_error.clear();
  if (remote.fetched != event.remote_tip) {
    remote.fetched = event.remote_tip;
    emit(SetMarker{Marker::fetched, event.remote_tip});
  }
  bool has_base = durable.remote_base && durable.remote_base->branch == event.branch;
  TipQuestion question{.branch = event.branch,
                       .local = event.tip,
                       .remote = *event.remote_tip,
                       .base = has_base ? std::optional(durable.remote_base->commit) : std::nullopt,
                       .applied = durable.applied};
  std::optional<TipsCompared> compared = compare_by_id(question);
  // Commits do not change: a branch that stays behind is not compared anew after every fetch.
  bool is_known = remote.compared && remote.compared->question == question;
  if (!compared && is_known) compared = remote.compared;
  if (compared) {
    remote.asked.reset();
    choose(*compared);
  } else if (remote.asked != question) {
    remote.asked = question;
    emit(CompareTips{*remote.asked});
  }
}

void Reconciler::State::take(const TipsCompared& event) {
  if (remote.asked != event.question) return;  // a newer question is under way
  remote.asked.reset();
  tip_error = event.error;
  if (!event.error.empty()) return;
  remote.compared = event;
  choose(event);
}

void Reconciler::State::choose(const TipsCompared& compared) {
  const TipQuestion& tips = compared.question;
  bool follows_force_push = options.remote && options.remote->follows_force_push;
  TipChoice choice = choose_tip(compared, durable.acceptance, follows_force_push);
  if (choice.hold && choice.hold != remote.hold)
    emit(Announce{"", "held", choice.hold->kind, "", choice.hold->message, choice.hold->commit});
  remote.hold = choice.hold;
  if (choice.hold) {
    // An agent that has just started goes on with what it ran.
    if (!tip) set_tip(durable.applied ? durable.applied : tips.base);
    return;
  }
  RemoteBase base{tips.branch, tips.remote};
  if (durable.remote_base != base) change_durable().remote_base = base;
  // A rewritten branch was followed; a local one that cannot be moved along must not pass for diverged.
  bool is_left_behind = tips.local && compared.is_local_in_base &&
                        compared.relation == TipsCompared::Relation::diverged &&
                        !(durable.acceptance && durable.acceptance->local == tips.local);
  if (is_left_behind) change_durable().acceptance = Acceptance{tips.remote, tips.local, "", now.wall};
  set_tip(choice.tip);
  remote.move = choice.move;
  move_along();
}

// What is refused stays where it was fetched to: a branch of this repository says what this node's owner accepts.
void Reconciler::State::move_along() {
  if (!remote.move) return;
  const MoveBranch& move = *remote.move;
  bool is_accepted = !options.verifies_signatures || is_verified(durable.verified, move.to, move.branch);
  if (is_accepted) emit(*std::exchange(remote.move, std::nullopt));
}

void Reconciler::State::set_tip(const std::optional<ObjectId>& found) {
  if (!found) return;  // an unreadable branch keeps what was known of it
  if (found != tip) cause = "commit";
  tip = found;
  tip_branch = branch;
  if (hold && tip != hold->commit) hold.reset();
}

const Hold* Reconciler::State::any_hold() const { return remote.hold ? &*remote.hold : shown_hold(); }

// --- fetching ---

void Reconciler::State::pursue_remote() {
  if (!options.remote || is_shutting_down) return;
  if (!std::exchange(remote.is_started, true)) remote.schedule.start(now.instant, !durable.applied);
  if (!remote.waiting.empty()) remote.schedule.request(now.instant);
  if (!remote.schedule.begin_if_due(now.instant)) return;
  remote.last_fetch = now.wall;
  remote.fetching = std::exchange(remote.waiting, {});
  emit(Fetch{});
}

void Reconciler::State::take(const Fetched& event) {
  if (!remote.schedule.is_running()) return;
  bool is_good = event.fault == Fetched::Fault::none;
  if (is_good) {
    remote.schedule.succeeded(now.instant);
    remote.last_success = now.wall;
    if (!remote.error.empty()) emit(Announce{"", "fetched", "", "", "the remote can be fetched again", tip});
  } else {
    remote.schedule.failed(now.instant, event.fault == Fetched::Fault::refused);
    if (remote.error != event.error) emit(Announce{"", "fetch-failed", "", "", event.error, std::nullopt});
  }
  remote.error = event.error;
  if (!tip) observe_tips();
  for (const SyncRequested& request : std::exchange(remote.fetching, {})) {
    if (is_good) {
      begin_sync(request);
    } else {
      refuse(request.request, event.error);
    }
  }
}

void Reconciler::State::take(const FetchRequested&) {
  if (options.remote) remote.schedule.request(now.instant);
}

void Reconciler::State::take(const BundleImported&) {
  // With a remote a bundle only brings earlier what a fetch would bring.
  if (!options.remote && !durable.follows_imports) change_durable().follows_imports = true;
  observe_tips();
}

void Reconciler::State::take(const AcceptRequested& event) {
  if (!remote.hold) {
    refuse(event.request, "nothing of the remote is held");
    return;
  }
  if (remote.hold->commit != event.commit) {
    refuse(event.request, event.commit.abbreviated() + " is not what is held, but " +
                              remote.hold->commit.abbreviated() + " is");
    return;
  }
  change_durable().acceptance =
      Acceptance{.commit = event.commit, .local = remote.observed->tip, .by = event.by, .at = now.wall};
  emit(Announce{"", "accepted", "", "", "by " + event.by, event.commit});
  remote.hold.reset();
  observe_tips();
  await_settled(event.request, event.waits);
}

std::optional<RemoteView> Reconciler::State::remote_view() const {
  if (!options.remote) return std::nullopt;
  return RemoteView{.last_fetch = remote.last_fetch,
                    .last_success = remote.last_success,
                    .error = remote.error,
                    .is_fetching = remote.schedule.is_running()};
}

}  // namespace gitproc
