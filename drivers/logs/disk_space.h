// What is done about a full disk: archives are removed, the oldest first, until those who write can go on. Only
// archives that GitProc has made itself (NAME.log.N); what else fills the disk is not ours to judge.
#pragma once

#include <cstddef>

#include "drivers/logs/log_files.h"

namespace gitproc {

// A disk is full when an ordinary user can write less than this, or than 1/64 of it.
inline constexpr std::uint64_t full_disk_bytes = 256u << 10;

// Whether the disk of the logs is full. No, where it does not tell.
bool is_disk_full(const LogDirectory& directory);

// Removes the oldest archives of all services until the disk is not full any more, but one at least; how many.
std::size_t remove_oldest_archives(const LogDirectory& directory);
// The same for one archive of one service; false where it has none.
bool remove_oldest_archive(const LogDirectory& directory, std::string_view service);

}  // namespace gitproc
