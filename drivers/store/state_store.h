// <state-dir>/state.json: the durable state as a file that a person can read, replaced atomically. The file is
// trusted by nobody: one that is torn, damaged, too large or from another version is set aside under the name
// state.json.damaged-N, what can still be understood of it is kept, and the caller is told; the agent goes on.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "drivers/base/atomic_file.h"
#include "reconcile/base/error.h"
#include "reconcile/durable.h"

namespace gitproc {

// Larger files are not read, and not written either.
inline constexpr std::size_t state_file_limit_bytes = 32u << 20;
// state.json.damaged-1 is the oldest; when all are there, the last one is overwritten.
inline constexpr unsigned damaged_file_limit = 5;

struct LoadedState {
  DurableState state;
  std::vector<std::string> warnings;  // to be logged: unknown keys, and what `damage` cost
  std::string damage;                 // why the file was set aside; "" for a good file or none

  bool operator==(const LoadedState&) const = default;
};

class StateStore {
 public:
  virtual ~StateStore() = default;
  // What is known from before; a file that does not exist is the empty state.
  virtual LoadedState load() = 0;
  // On an error the state saved before is still the one that load() returns. Blocks for the disk.
  virtual Result<void> save(const DurableState& state) = 0;
};

class FileStateStore : public StateStore {
 public:
  // `directory` must exist. `steps` lets a test fail any step of the replacement, and must outlive the store.
  explicit FileStateStore(std::string directory);
  FileStateStore(std::string directory, FileSteps& steps);

  LoadedState load() override;
  Result<void> save(const DurableState& state) override;

  // Keeps what the file holds now under the name state.json.<why>-N as well; returns the name.
  Result<std::string> set_aside(const std::string& why);

 private:
  std::string directory_;
  std::string path_;
  FileSteps own_steps_;
  FileSteps& steps_;
};

}  // namespace gitproc
