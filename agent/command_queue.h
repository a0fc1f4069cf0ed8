// The Commands that are still to be carried out. It keeps what the Reconciler gave as it was given: many at once are one
// piece of memory, and leave one hole when they are done.
//
// What is to be done goes before what is to be told of it, each in the order given: nobody's process waits while people
// are informed, and who is answered finds the events that belong to it.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <variant>

#include "reconcile/command.h"

namespace gitproc {

class CommandQueue {
 public:
  bool empty() const { return batches_.empty(); }

  void add(Commands commands) {
    if (!commands.empty()) batches_.push_back(std::move(commands));
  }

  // The next that is to be done; nullopt: there is none.
  std::optional<Command> take_deed() {
    for (; doing_ < batches_.size(); ++doing_, next_deed_ = 0) {
      if (std::optional<Command> deed = take_from(batches_[doing_], next_deed_, false)) return deed;
    }
    return std::nullopt;
  }

  // The next that is to be told; nullopt: there is none, or something given with it is not done yet.
  std::optional<Command> take_word() {
    for (; doing_ > 0; --doing_, next_word_ = 0) {
      if (std::optional<Command> word = take_from(batches_.front(), next_word_, true)) return word;
      batches_.pop_front();
    }
    return std::nullopt;
  }

 private:
  // The agent's end is the last that is told.
  static bool is_word(const Command& command) {
    return std::holds_alternative<Announce>(command) || std::holds_alternative<Answer>(command) ||
           std::holds_alternative<ExitAgent>(command);
  }

  static std::optional<Command> take_from(Commands& batch, std::size_t& next, bool words) {
    while (next < batch.size()) {
      Command& command = batch[next++];
      if (is_word(command) == words) return std::move(command);
    }
    return std::nullopt;
  }

  std::deque<Commands> batches_;
  std::size_t doing_ = 0;      // of what batch; those before it are done
  std::size_t next_deed_ = 0;  // in that one
  std::size_t next_word_ = 0;  // in the first
};

}  // namespace gitproc
