// The process that fetches: `gitproc fetch-worker`, started by the agent and by nobody else. It reads one job from
// its standard input, answers with messages on its standard output, and a pack goes through descriptor 3: out of a
// receiver, into an indexer. It has no other way to do anything.
//
// Before it touches a byte from outside it gives up what it does not need: it cannot be traced or dumped, has bounds
// on memory, CPU time and file size, runs as a user of its own where the agent is root, and dies with the agent. The
// agent kills it when it shows no sign of life.
#pragma once

namespace gitproc {

inline constexpr int worker_pack_fd = 3;

// The whole life of the process; its exit code.
int run_fetch_worker();

}  // namespace gitproc
