// The Commands that are still to be carried out, first in, first out. It keeps what the Reconciler gave as it was given:
// a thousand at once are one piece of memory, and leave one hole when they are done.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "reconcile/command.h"

namespace gitproc {

class CommandQueue {
 public:
  bool empty() const { return batches_.empty(); }

  void add(Commands commands) {
    if (!commands.empty()) batches_.push_back(std::move(commands));
  }

  // There must be one.
  Command take() {
    Command command = std::move(batches_.front()[next_]);
    if (++next_ == batches_.front().size()) {
      batches_.pop_front();
      next_ = 0;
    }
    return command;
  }

 private:
  std::deque<Commands> batches_;  // none is empty
  std::size_t next_ = 0;          // of the first batch
};

}  // namespace gitproc
