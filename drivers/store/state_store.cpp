#include "drivers/store/state_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "drivers/base/system_call.h"
#include "drivers/store/state_json.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// Commits, reasons and names of operators concern nobody but root and the agent.
constexpr mode_t state_file_mode = 0600;

}  // namespace

FileStateStore::FileStateStore(std::string directory)
    : directory_(std::move(directory)), path_(directory_ + "/state.json"), steps_(own_steps_) {}

FileStateStore::FileStateStore(std::string directory, FileSteps& steps)
    : directory_(std::move(directory)), path_(directory_ + "/state.json"), steps_(steps) {}

LoadedState FileStateStore::load() {
  LoadedState loaded;
  Result<std::string> text = read_file(path_, state_file_limit_bytes);
  if (!text && text.error().code == ErrorCode::not_found) return loaded;
  Result<DecodedState> decoded = text ? decode_state(*text) : std::unexpected(text.error());
  if (decoded) {
    for (const std::string& key : decoded->unknown_keys) {
      loaded.warnings.push_back("'" + path_ + "': unknown key '" + key + "' is ignored");
    }
    loaded.state = std::move(decoded->state);
    if (decoded->faults.empty()) return loaded;
    loaded.damage = "'" + path_ + "' is damaged: cannot use " + join(decoded->faults, ", ");
  } else {
    loaded.damage = text ? "'" + path_ + "' is damaged: " + decoded.error().message : decoded.error().message;
  }

  if (Result<std::string> aside = set_aside("damaged")) {
    loaded.damage += "; set aside as '" + *aside + "'";
  } else {
    loaded.warnings.push_back(aside.error().message);
  }
  // Otherwise the next load would set the same damage aside once more.
  if (Result<void> saved = save(loaded.state); !saved) loaded.warnings.push_back(saved.error().message);
  return loaded;
}

// A second name, so that the first one is never missing: what is saved next replaces it in one step.
Result<std::string> FileStateStore::set_aside(const std::string& why) {
  int error_number = EEXIST;
  for (unsigned n = 1; n <= damaged_file_limit && error_number == EEXIST; ++n) {
    std::string aside = path_ + "." + why + "-" + std::to_string(n);
    bool is_last = n == damaged_file_limit;
    if (is_last) ::unlink(aside.c_str());
    if (::link(path_.c_str(), aside.c_str()) == 0) return aside;
    error_number = errno;
    // A file system without hard links; what is read is then lost if the agent dies before it is written again.
    if (error_number != EEXIST && ::rename(path_.c_str(), aside.c_str()) == 0) return aside;
  }
  return std::unexpected(system_error("cannot set '" + path_ + "' aside", error_number));
}

Result<void> FileStateStore::save(const DurableState& state) {
  std::string text = encode_state(state);
  if (text.size() > state_file_limit_bytes) {
    return fail("cannot write '" + path_ + "': larger than " + std::to_string(state_file_limit_bytes) +
                " bytes");
  }
  return replace_file(path_, text, state_file_mode, steps_);
}

}  // namespace gitproc
