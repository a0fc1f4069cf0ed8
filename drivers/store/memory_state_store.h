// A StateStore without a disk, for the agent's tests: what was saved, how often, and a fault to order.
#pragma once

#include <optional>

#include "drivers/store/state_store.h"

namespace gitproc {

class MemoryStateStore : public StateStore {
 public:
  LoadedState load() override { return saved; }
  Result<void> save(const DurableState& state) override {
    ++attempts;
    if (fault) return std::unexpected(*fault);
    saved.state = state;
    return {};
  }

  LoadedState saved;
  std::optional<Error> fault;  // every save fails with this until it is reset
  unsigned attempts = 0;
};

}  // namespace gitproc
