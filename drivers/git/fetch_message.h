// What the agent and its two fetch workers say to each other, over pipes: one job in, messages out.
//
// The receiver talks to the remote, and is the only process that touches what comes from the network before it is
// checked; what it gets is a stream of bytes, written to a pipe. The indexer reads that pipe, checks every object
// and leaves a pack and its index. Neither is trusted by the agent: whatever they say is parsed with bounds here,
// and only the agent moves refs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"
#include "reconcile/event.h"

namespace gitproc {

// Bounds of what a remote may offer and a fetch may bring.
inline constexpr std::size_t max_remote_refs = 20'000;
inline constexpr std::size_t max_ref_name_bytes = 512;
inline constexpr std::uint64_t max_pack_bytes = 4ull << 30;
inline constexpr unsigned max_pack_objects = 5'000'000;
// As large as the largest file that the big forges take.
inline constexpr std::uint64_t max_object_bytes = 100ull << 20;
// Of one message or job on a pipe.
inline constexpr std::size_t max_fetch_message_bytes = 16u << 20;

struct NamedRef {
  std::string name;
  ObjectId id;

  bool operator==(const NamedRef&) const = default;
};

// A commit that is here, for the negotiation of what is not: parents that are not in the list are left out.
struct KnownCommit {
  ObjectId id;
  std::int64_t time = 0;  // seconds since 1970
  std::vector<ObjectId> parents;

  bool operator==(const KnownCommit&) const = default;
};

// What the receiver is to do.
struct FetchJob {
  std::string url;  // secret
  std::string username;
  std::string password_file;  // "" here and below: none
  std::string ssh_key;
  std::string known_hosts;
  std::string ca_file;
  std::string
      scratch;  // a folder of the agent's that the worker may make files in before it drops its rights
  std::vector<NamedRef> refs;  // what is known of the remote's branches and tags: "refs/heads/main"
  std::vector<KnownCommit> commits;
  std::uint32_t uid = 0;  // whom to become, where that is not root
  std::uint32_t gid = 0;

  bool operator==(const FetchJob&) const = default;
};

// What the indexer is to do: read a pack from its standard input, or a bundle.
struct IndexJob {
  std::string objects_dir;   // of the repository
  std::string incoming_dir;  // where pack and index are to be left
  bool is_bundle = false;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;

  bool operator==(const IndexJob&) const = default;
};

using WorkerJob = std::variant<FetchJob, IndexJob>;

// --- what workers answer ---

// The step that begins now; each message of any kind is a sign of life.
struct FetchStage {
  std::string text;  // "connecting", "receiving"
  bool operator==(const FetchStage&) const = default;
};
// All branches and tags of the remote, or of a bundle.
struct OfferedRefs {
  std::vector<NamedRef> refs;
  std::string head;       // the branch that HEAD names there, "" when that is not known
  bool has_pack = false;  // what is new follows as a pack
  bool operator==(const OfferedRefs&) const = default;
};
struct FetchProgress {
  std::uint64_t bytes = 0;
  unsigned objects = 0;
  unsigned total_objects = 0;
  bool operator==(const FetchProgress&) const = default;
};
// The pack and its index are in incoming_dir, as pack-<name>.pack and .idx.
struct PackIndexed {
  std::string name;
  bool operator==(const PackIndexed&) const = default;
};
struct WorkerDone {
  bool operator==(const WorkerDone&) const = default;
};
// What a receiver says when its indexer takes no more: the indexer knows why.
inline constexpr std::string_view pack_not_taken = "the pack was not taken";
struct WorkerFailed {
  Fetched::Fault fault = Fetched::Fault::failed;
  std::string message;
  bool operator==(const WorkerFailed&) const = default;
};

using WorkerMessage =
    std::variant<FetchStage, OfferedRefs, FetchProgress, PackIndexed, WorkerDone, WorkerFailed>;

std::string encode(const WorkerJob& job);
Result<WorkerJob> decode_job(std::string_view bytes);

// With its frame.
std::string encode(const WorkerMessage& message);

// Bytes to messages, as they arrive.
class MessageReader {
 public:
  // The messages that are complete now. After an error the sender is not to be listened to any more.
  Result<std::vector<WorkerMessage>> feed(std::string_view bytes);

 private:
  std::string pending_;
};

}  // namespace gitproc
