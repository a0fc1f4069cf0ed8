// The second fetch worker: a stream of bytes that is said to be a pack (or a bundle, whose header libgit2 does not
// read) becomes a pack in which every object was checked against its id, with everything it refers to.
#include <fcntl.h>
#include <git2.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

#include "drivers/base/lazy_library.h"
#include "drivers/base/system_call.h"
#include "drivers/base/unique_fd.h"
#include "drivers/git/fetch_worker.h"
#include "drivers/git/git_library.h"
#include "drivers/git/git_values.h"
#include "drivers/git/worker_process.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::uint64_t indexer_memory_bytes = 1ull << 30;
// libgit2 gathers each object in one buffer while the pack comes, and reads past its end (1.5, at least) where that buffer
// cannot grow. So there is an end before: what one read unpacks to at most, and growing by half, still fit in between.
constexpr std::uint64_t indexer_heap_bytes = indexer_memory_bytes / 2;
constexpr std::uint64_t indexer_cpu_seconds = 600;
constexpr std::size_t read_bytes = 64u << 10;
constexpr std::size_t max_bundle_header_bytes = 8u << 20;
constexpr const char* too_much_memory =
    "it needs more memory to unpack than a fetch may use: an object in it is too large";

using OdbHandle = GitHandle<git_odb, git_odb_free>;
using IndexerHandle = GitHandle<git_indexer, git_indexer_free>;

std::string last_fault() {
  const git_error* last = git_error_last();
  if (last == nullptr || last->message == nullptr) return "unknown error";
  bool is_memory = last->klass == GIT_ERROR_NOMEMORY || std::strstr(last->message, "emory") != nullptr;
  return is_memory ? too_much_memory : printable(last->message);
}

// How much more memory this process has for itself (proc(5): the sixth number of statm, in pages) than at first: what
// it begins with is not the pack's doing, and is terabytes where a sanitizer keeps its shadow.
class OwnMemory {
 public:
  bool is_too_much() const { return pages() > pages_at_first_ + indexer_heap_bytes / page_bytes_; }

 private:
  std::uint64_t pages() const {
    char text[256];
    ssize_t count = statm_ ? ::pread(statm_.get(), text, sizeof text - 1, 0) : 0;
    if (count <= 0) return 0;  // without /proc there is the limit alone
    text[count] = '\0';
    unsigned long long pages = 0;
    return std::sscanf(text, "%*u %*u %*u %*u %*u %llu", &pages) == 1 ? pages : 0;
  }

  UniqueFd statm_{::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)};
  std::uint64_t page_bytes_ = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::uint64_t pages_at_first_ = pages();
};

// The pack's bytes, with a buffer for what was read too far into it.
class PackSource {
 public:
  // More bytes; "" at the end.
  Result<std::string_view> next() {
    if (!left_.empty()) return std::exchange(left_, {});
    ssize_t count = retry_on_interrupt([&] { return ::read(worker_pack_fd, buffer_, sizeof buffer_); });
    if (count < 0) return fail_with_errno("cannot read the pack");
    received_ += static_cast<std::uint64_t>(count);
    if (received_ > max_pack_bytes)
      return fail("the pack is larger than " + std::to_string(max_pack_bytes >> 30) + " GiB");
    return std::string_view(buffer_, static_cast<std::size_t>(count));
  }
  void put_back(std::string_view rest) { left_ = rest; }
  std::uint64_t received() const { return received_; }

 private:
  char buffer_[read_bytes];
  std::string_view left_;
  std::uint64_t received_ = 0;
};

// --- bundles (gitformat-bundle(5)) ---

struct BundleHeader {
  OfferedRefs offered;
  std::vector<ObjectId> prerequisites;
};

Result<void> read_bundle_line(std::string_view line, BundleHeader& header) {
  if (line.starts_with('@')) {
    if (line == "@object-format=sha1") return {};
    return fail("the bundle needs what is not supported: " + printable(line, 80));
  }
  bool is_prerequisite = line.starts_with('-');
  if (is_prerequisite) line.remove_prefix(1);
  std::size_t space = line.find(' ');
  std::optional<ObjectId> id = ObjectId::parse(line.substr(0, space));
  if (!id) return fail("the bundle's header is malformed");
  if (is_prerequisite) {
    header.prerequisites.push_back(*id);
  } else if (space != std::string_view::npos && line.size() - space - 1 <= max_ref_name_bytes) {
    std::string_view name = line.substr(space + 1);
    if (name.starts_with("refs/heads/") || name.starts_with("refs/tags/"))
      header.offered.refs.push_back({std::string(name), *id});
  }
  if (header.offered.refs.size() > max_remote_refs || header.prerequisites.size() > max_remote_refs)
    return fail("the bundle names too many commits");
  return {};
}

Result<BundleHeader> read_bundle_header(PackSource& source, std::string& text) {
  BundleHeader header{.offered = {.refs = {}, .head = "", .has_pack = true}, .prerequisites = {}};
  std::size_t line_begin = 0;
  bool has_signature = false;
  while (true) {
    std::size_t line_end = text.find('\n', line_begin);
    if (line_end == std::string::npos) {
      if (text.size() > max_bundle_header_bytes) return fail("it is no git bundle");
      Result<std::string_view> more = source.next();
      if (!more) return std::unexpected(more.error());
      if (more->empty()) return fail(has_signature ? "the bundle ends in its header" : "it is no git bundle");
      text += *more;
      continue;
    }
    std::string_view line(text.data() + line_begin, line_end - line_begin);
    line_begin = line_end + 1;
    if (!has_signature) {
      if (line != "# v2 git bundle" && line != "# v3 git bundle") return fail("it is no git bundle");
      has_signature = true;
    } else if (line.empty()) {
      source.put_back(std::string_view(text).substr(line_begin));
      if (header.offered.refs.empty()) return fail("the bundle holds no branch");
      return header;
    } else if (Result<void> read = read_bundle_line(line, header); !read) {
      return std::unexpected(read.error());
    }
  }
}

bool has_object(git_odb* odb, const ObjectId& id) {
  git_oid oid;
  git_oid_fromraw(&oid, id.bytes.data());
  return git_odb_exists(odb, &oid) == 1;
}

// --- the pack ---

struct Counting {
  WorkerVoice& voice;
  const PackSource& source;
  bool has_too_many = false;
};

int count_objects(const git_indexer_progress* stats, void* payload) {
  auto& counting = *static_cast<Counting*>(payload);
  counting.has_too_many = stats->total_objects > max_pack_objects;
  counting.voice.progress({counting.source.received(), stats->indexed_objects, stats->total_objects});
  return counting.has_too_many ? GIT_EUSER : 0;
}

Result<std::string> write_index(const IndexJob& job, git_odb* odb, PackSource& source, WorkerVoice& voice) {
  Counting counting{voice, source};
  git_indexer_options options = GIT_INDEXER_OPTIONS_INIT;
  options.progress_cb = count_objects;
  options.progress_cb_payload = &counting;
  options.verify = 1;
  git_indexer* made = nullptr;
  if (git_indexer_new(&made, job.incoming_dir.c_str(), 0444, odb, &options) < 0)
    return fail("cannot write the pack: " + last_fault());
  IndexerHandle indexer(made);
  auto fault = [&](std::string what) {
    if (counting.has_too_many)
      return fail("the pack holds more than " + std::to_string(max_pack_objects) + " objects");
    return fail(std::move(what) + last_fault());
  };
  git_indexer_progress stats{};
  OwnMemory memory;
  while (true) {
    Result<std::string_view> bytes = source.next();
    if (!bytes) return std::unexpected(bytes.error());
    if (bytes->empty()) break;
    if (git_indexer_append(made, bytes->data(), bytes->size(), &stats) < 0)
      return fault("what came is no good pack: ");
    if (memory.is_too_much()) return fail(too_much_memory);
  }
  if (stats.total_objects == 0 || stats.received_objects < stats.total_objects) {
    return fail("the connection ended in mid-pack: " + std::to_string(stats.received_objects) + " of " +
                std::to_string(stats.total_objects) + " objects came");
  }
  if (git_indexer_commit(made, &stats) < 0) return fault("what came is no good pack: ");
  return std::string(git_indexer_name(made));
}

struct SizeCheck {
  git_odb* odb;
  std::string fault;
};

int check_size(const git_oid* oid, void* payload) {
  auto& check = *static_cast<SizeCheck*>(payload);
  size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (git_odb_read_header(&size, &type, check.odb, oid) < 0) {
    check.fault = "an object of the pack cannot be read: " + last_fault();
  } else if (size > max_object_bytes) {
    check.fault = "object " + std::string(git_oid_tostr_s(oid), 12) + " unpacks to " +
                  std::to_string(size >> 20) + " MiB, and at most " + std::to_string(max_object_bytes >> 20) +
                  " are taken";
  }
  return check.fault.empty() ? 0 : GIT_EUSER;
}

// An object that is small in the pack may be huge unpacked; nothing of it is kept then.
Result<void> check_sizes(const IndexJob& job, const std::string& name) {
  git_odb* odb = nullptr;
  git_odb_backend* backend = nullptr;
  if (git_odb_new(&odb) < 0) return fail(last_fault());
  OdbHandle handle(odb);
  std::string index = job.incoming_dir + "/pack-" + name + ".idx";
  if (git_odb_backend_one_pack(&backend, index.c_str()) < 0 || git_odb_add_backend(odb, backend, 1) < 0)
    return fail("cannot read the new pack: " + last_fault());
  SizeCheck check{odb, ""};
  if (git_odb_foreach(odb, check_size, &check) < 0 && check.fault.empty()) check.fault = last_fault();
  return check.fault.empty() ? Result<void>{} : fail(check.fault);
}

Result<void> index(const IndexJob& job, WorkerVoice& voice) {
  git_odb* opened = nullptr;
  if (git_odb_open(&opened, job.objects_dir.c_str()) < 0)
    return fail("cannot open the repository: " + last_fault());
  OdbHandle odb(opened);
  auto source = std::make_unique<PackSource>();
  std::string header_text;
  if (job.is_bundle) {
    Result<BundleHeader> header = read_bundle_header(*source, header_text);
    if (!header) return std::unexpected(header.error());
    for (const ObjectId& id : header->prerequisites) {
      if (!has_object(opened, id))
        return fail("the bundle builds on commit " + id.abbreviated() + ", which is not here");
    }
    voice.say(header->offered);
  }
  Result<std::string> name = write_index(job, opened, *source, voice);
  if (!name) return std::unexpected(name.error());
  if (Result<void> checked = check_sizes(job, *name); !checked) return checked;
  voice.say(PackIndexed{*name});
  return {};
}

}  // namespace

void index_pack(const IndexJob& job, WorkerVoice& voice, pid_t parent) {
  Result<GitLibrary> library = GitLibrary::for_local_use();
  if (!library) return voice.say(WorkerFailed{Fetched::Fault::failed, library.error().message});
  // The index grows with the number of objects; the pack is the larger of the two for all that is real.
  WorkerLimits limits{indexer_memory_bytes, max_pack_bytes, indexer_cpu_seconds};
  Result<void> done = give_up_rights(job.uid, job.gid, limits, parent);
  if (done) done = index(job, voice);
  if (done) {
    voice.say(WorkerDone{});
  } else {
    voice.say(WorkerFailed{Fetched::Fault::failed, done.error().message});
  }
}

}  // namespace gitproc
