#include "reconcile/unit/change.h"

#include <algorithm>

#include "reconcile/unit/directives.h"

namespace gitproc {
namespace {

// RestartOn= and ReloadOn= paths that both units watch and that hold something else now.
void compare_watched(const Unit& from, const Unit& to, UnitDifference& difference) {
  for (const WatchedPath& watched : *to.watched) {
    auto before = std::find_if(from.watched->begin(), from.watched->end(), [&](const WatchedPath& known) {
      return known.path == watched.path && known.restarts == watched.restarts;
    });
    if (before == from.watched->end() || before->content == watched.content) continue;
    difference.directives.push_back((watched.restarts ? "RestartOn=" : "ReloadOn=") + watched.path);
    difference.effect =
        std::max(difference.effect, watched.restarts ? ChangeEffect::restart : ChangeEffect::reload);
  }
}

}  // namespace

// Two units differ in a directive when it would be printed otherwise: what is printed is all there is.
UnitDifference difference(const Unit& from, const Unit& to) {
  UnitDifference result;
  Lines before, after;
  for (const Directive* directive : all_directives()) {
    if (!directive->print) continue;
    before.begin(directive->key);
    after.begin(directive->key);
    directive->print(from, before);
    directive->print(to, after);
    if (before.take() == after.take()) continue;
    result.directives.emplace_back(directive->key);
    result.effect = std::max(result.effect, directive->effect);
  }
  compare_watched(from, to, result);
  return result;
}

}  // namespace gitproc
