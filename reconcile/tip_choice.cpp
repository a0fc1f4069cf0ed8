#include "reconcile/tip_choice.h"

namespace gitproc {

std::optional<TipsCompared> compare_by_id(const TipQuestion& question) {
  bool is_known = !question.base || *question.base == question.remote;
  bool is_plain = !question.local || *question.local == question.remote;
  if (!is_known || !is_plain) return std::nullopt;
  return TipsCompared{.question = question,
                      .error = "",
                      .relation = TipsCompared::Relation::equal,
                      .is_local_in_base = question.base.has_value(),
                      .is_remote_after_base = true,
                      .is_remote_after_applied = true};
}

TipChoice choose_tip(const TipsCompared& compared, const std::optional<Acceptance>& acceptance,
                     bool follows_force_push) {
  using Relation = TipsCompared::Relation;
  const TipQuestion& tips = compared.question;
  bool is_accepted =
      acceptance && acceptance->commit == tips.remote && (!tips.local || acceptance->local == tips.local);
  bool is_rewritten = tips.base && !compared.is_remote_after_base && !compared.is_remote_after_applied;
  if (is_rewritten && !is_accepted && !follows_force_push) {
    return {.tip = std::nullopt,
            .hold = Hold{"force-push", tips.remote,
                         "the remote's " + tips.branch + " was rewritten to " + tips.remote.abbreviated() +
                             ", which does not descend from what is applied; to follow it: gitproc accept " +
                             tips.remote.abbreviated()},
            .move = std::nullopt};
  }
  bool is_behind =
      !tips.local || compared.relation == Relation::equal || compared.relation == Relation::behind;
  // An own commit that an operator decided against stays where it is.
  bool is_set_aside = acceptance && tips.local && acceptance->local == tips.local;
  if (is_behind || compared.is_local_in_base || is_set_aside) {
    TipChoice choice{.tip = tips.remote, .hold = std::nullopt, .move = std::nullopt};
    bool may_move = is_behind || compared.is_local_in_base;
    if (may_move && tips.local != tips.remote) choice.move = MoveBranch{tips.branch, tips.local, tips.remote};
    return choice;
  }
  if (compared.relation == Relation::ahead) {
    return {.tip = tips.local, .hold = std::nullopt, .move = std::nullopt};
  }
  return {.tip = std::nullopt,
          .hold = Hold{"diverged", tips.remote,
                       "the local " + tips.branch +
                           " and the remote's both have commits of their own; merge or "
                           "rebase it, or follow the remote's: gitproc accept " +
                           tips.remote.abbreviated()},
          .move = std::nullopt};
}

}  // namespace gitproc
