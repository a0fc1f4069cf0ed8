// One rotation of one log, without losing a byte and with the service still writing. The head of NAME.log is
// copied to an archive, and then exactly the copied blocks are taken away from the beginning of the file
// (fallocate(2): FALLOC_FL_COLLAPSE_RANGE). The service notices nothing: it appends to the same file.
//
//   step      on disk                                     after a crash here
//   copy      NAME.log.0 grows                            it is begun anew: there is no note
//   note      NAME.log.cut -> "copied"                    the archive is whole and on the disk: go on
//   punch     the head of NAME.log becomes a hole         done again, does no harm
//   note      NAME.log.cut -> "punched"                   go on
//   collapse  the hole is gone, the rest has moved up     a hole at the beginning tells: not done yet
//   shift     .1 -> .2, ..., .0 -> .1                     taken up at the first gap
//   end       NAME.log.cut is gone                        done
//
// The hole is what makes the last question of a crash answerable: was the copied head taken away already? Where
// the file system cannot collapse (tmpfs, btrfs) the hole stays, and the offsets of the file with it. So it does while
// much has been written behind it, which collapsing would put on the disk first: a later rotation takes it away. The
// note is a symbolic link: it appears with its content or not at all.
//
// The size of an archive is a multiple of the block size, so lines may straddle two files; their concatenation
// is exact.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "drivers/base/unique_fd.h"
#include "drivers/logs/background_disk.h"
#include "drivers/logs/log_files.h"
#include "reconcile/base/error.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// What NAME.log.cut says. `end` is the offset in NAME.log up to which NAME.log.0 holds everything.
struct RotationNote {
  enum class Phase { copied, punched };
  Phase phase = Phase::copied;
  std::uint64_t end = 0;
  std::uint64_t inode = 0;  // of NAME.log

  bool operator==(const RotationNote&) const = default;
};
// nullopt where no rotation is under way, or the note is not ours.
std::optional<RotationNote> read_rotation_note(const LogDirectory& directory, std::string_view service);

class Rotation {
 public:
  // Copied by one operation of the disk: about 2 ms where the loop has to wait for it.
  static constexpr std::uint64_t copy_step_bytes = 4u << 20;

  // Begins a rotation if the log holds more than the policy allows; nullopt if it does not, or there is no log.
  // The archive that this rotation would push out is removed now, to have its space.
  static Result<std::optional<Rotation>> begin(const LogDirectory& directory, std::string service,
                                               LogPolicy policy, BackgroundDisk& disk);

  // Copies on and syncs what was copied, as far as that goes without waiting for `disk`, which serves nobody else
  // meanwhile; true when the archive is whole and on the disk. While disk.is_waiting() a call does nothing. On an error
  // nothing has changed but NAME.log.0 (the `copy` row).
  Result<bool> copy_some(BackgroundDisk& disk);
  // All the steps after the copy.
  Result<void> commit();

 private:
  Rotation(const LogDirectory& directory, std::string service, LogPolicy policy)
      : directory_(&directory), service_(std::move(service)), policy_(policy) {}
  bool is_as_it_was() const;

  const LogDirectory* directory_;
  std::string service_;
  LogPolicy policy_;
  UniqueFd live_;
  UniqueFd archive_;
  std::string beginning_;  // the first bytes of what is archived
  bool is_syncing_ = false;
  std::uint64_t begin_ = 0;  // these three are offsets in the live file
  std::uint64_t copied_ = 0;
  std::uint64_t end_ = 0;
};

// What is written back to the disk, at most, while the loop waits for a head to be collapsed.
inline constexpr std::uint64_t waited_for_bytes = 4u << 20;
// A larger hole is collapsed all the same: a file of ext4 ends at 16 TiB.
inline constexpr std::uint64_t largest_hole_bytes = std::uint64_t{64} << 30;

// One call takes away no more than this: about 15 ms where it all is in the page cache.
inline constexpr std::uint64_t skip_step_bytes = 64u << 20;
struct Skipped {
  std::uint64_t bytes = 0;
  bool is_all = true;  // there is no more of it for now

  bool operator==(const Skipped&) const = default;
};
// For a log that outruns its rotation: takes away what rotations would archive only for later ones to push out, and with
// it all archives, which are older. What is kept is what would be: the newest output, half an archive more than
// LogMaxFiles= of them, or as LogMaxTotalSize= says. Recovery must be over.
Result<Skipped> skip_oldest_output(const LogDirectory& directory, std::string_view service, LogPolicy policy);

// Takes away the oldest output of a log that is larger than the policy allows, without an archive of it: for a disk
// that has no room for one. How many bytes; 0 where the log is not too large.
Result<std::uint64_t> drop_oldest_output(const LogDirectory& directory, std::string_view service,
                                         LogPolicy policy);
// Removes the archive being made, of a rotation that failed.
void remove_unfinished_archive(const LogDirectory& directory, std::string_view service);

// Brings a rotation that a crash interrupted to its end, or removes its traces where it had not got to the note.
// To be called before the first rotation of a log, and after one that failed.
Result<void> recover_rotation(const LogDirectory& directory, std::string_view service, LogPolicy policy);

}  // namespace gitproc
