// Which commit a branch means when there is a remote: the remote's tip as last fetched, or the local branch's where
// that is strictly ahead of it.
//
//   the remote's tip was rewritten to what descends neither from what was followed before
//   nor from what is applied                                   -> hold "force-push"
//   local branch absent, equal, behind, or without commits of its own -> the remote's; the local one is moved along
//   local branch ahead                                         -> the local one's
//   both have commits of their own                             -> hold "diverged"
//
// The way out of a hold is `gitproc accept` of exactly the remote's tip, or a push or merge that ends it.
#pragma once

#include <optional>

#include "reconcile/durable.h"
#include "reconcile/event.h"
#include "reconcile/reconciler.h"

namespace gitproc {

struct TipChoice {
  std::optional<ObjectId> tip;  // nullopt: what was followed stays
  std::optional<Hold> hold;
  std::optional<MoveBranch> move;

  bool operator==(const TipChoice&) const = default;
};

// The answer that needs nobody to look: nullopt where history has to be read.
std::optional<TipsCompared> compare_by_id(const TipQuestion& question);

// `compared` must be without an error.
TipChoice choose_tip(const TipsCompared& compared, const std::optional<Acceptance>& acceptance,
                     bool follows_force_push);

}  // namespace gitproc
