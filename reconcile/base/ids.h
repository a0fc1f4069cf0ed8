// Names for things the reconciler counts. They are counters, never pointers, so that a run can be replayed.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

namespace gitproc {

// One service of this node, for as long as the agent runs; a removed service's id is not used again.
enum class ServiceId : std::uint32_t {};

// One process that was asked for; later events about it carry this.
enum class SpawnId : std::uint64_t {};

// One operator request that waits for its answer.
enum class RequestId : std::uint64_t {};

// As of kill(2) and getpid(2); 0 where there is none.
using Pid = std::int32_t;

constexpr std::uint32_t index_of(ServiceId id) { return static_cast<std::uint32_t>(id); }

}  // namespace gitproc
