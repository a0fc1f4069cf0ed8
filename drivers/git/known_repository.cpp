#include "drivers/git/known_repository.h"

#include <git2.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/refdb_backend.h>
#include <git2/sys/refs.h>
#include <git2/sys/repository.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "drivers/git/git_values.h"

namespace gitproc {
namespace {

// A commit of the right time and parents; everything else of it is made up.
std::string stand_in(const KnownCommit& commit) {
  std::string text = "tree " + std::string(40, '0') + "\n";
  for (const ObjectId& parent : commit.parents)
    text += "parent " + parent.hex() + "\n";
  std::string who = " gitproc <> " + std::to_string(std::max<std::int64_t>(commit.time, 0)) + " +0000\n";
  return text + "author" + who + "committer" + who + "\n";
}

}  // namespace

struct KnownRepository::State {
  std::map<ObjectId, std::string> commits;
  std::set<ObjectId> ids;                // these, and what the refs point to
  std::map<std::string, ObjectId> refs;  // only those whose commit is in `commits`
  PackSink sink;
  git_repository* repository = nullptr;
};

namespace {

// --- objects ---

struct Objects {
  git_odb_backend backend;  // first: libgit2's pointer is ours
  const std::map<ObjectId, std::string>* commits;
  const std::set<ObjectId>* ids;
  const KnownRepository::PackSink* sink;
};
Objects& objects_of(git_odb_backend* backend) { return *reinterpret_cast<Objects*>(backend); }

int read_object(void** data, size_t* size, git_object_t* type, git_odb_backend* backend, const git_oid* oid) {
  const auto& commits = *objects_of(backend).commits;
  auto found = commits.find(from_git(*oid));
  if (found == commits.end()) return GIT_ENOTFOUND;
  *data = git_odb_backend_data_alloc(backend, found->second.size());
  if (*data == nullptr) return GIT_ERROR;
  std::memcpy(*data, found->second.data(), found->second.size());
  *size = found->second.size();
  *type = GIT_OBJECT_COMMIT;
  return 0;
}

int read_object_header(size_t* size, git_object_t* type, git_odb_backend* backend, const git_oid* oid) {
  const auto& commits = *objects_of(backend).commits;
  auto found = commits.find(from_git(*oid));
  if (found == commits.end()) return GIT_ENOTFOUND;
  *size = found->second.size();
  *type = GIT_OBJECT_COMMIT;
  return 0;
}

int has_object(git_odb_backend* backend, const git_oid* oid) {
  return objects_of(backend).ids->contains(from_git(*oid)) ? 1 : 0;
}

// --- the pack that arrives ---

struct PackStream {
  git_odb_writepack stream;
  const KnownRepository::PackSink* sink;
};

int append_to_pack(git_odb_writepack* stream, const void* data, size_t size, git_indexer_progress*) {
  const auto& sink = *reinterpret_cast<PackStream*>(stream)->sink;
  return sink({static_cast<const char*>(data), size}) ? 0 : GIT_EUSER;
}

int open_pack(git_odb_writepack** stream, git_odb_backend* backend, git_odb*, git_indexer_progress_cb,
              void*) {
  auto* made = new PackStream{{}, objects_of(backend).sink};
  made->stream.backend = backend;
  made->stream.append = append_to_pack;
  made->stream.commit = [](git_odb_writepack*, git_indexer_progress*) { return 0; };
  made->stream.free = [](git_odb_writepack* ended) { delete reinterpret_cast<PackStream*>(ended); };
  *stream = &made->stream;
  return 0;
}

// --- refs ---

struct Refs {
  git_refdb_backend backend;
  const std::map<std::string, ObjectId>* refs;
};
const std::map<std::string, ObjectId>& refs_of(git_refdb_backend* backend) {
  return *reinterpret_cast<Refs*>(backend)->refs;
}

struct RefIterator {
  git_reference_iterator iterator;
  std::map<std::string, ObjectId>::const_iterator next, end;
};

int find_ref(git_reference** found, git_refdb_backend* backend, const char* name) {
  auto ref = refs_of(backend).find(name);
  if (ref == refs_of(backend).end()) return GIT_ENOTFOUND;
  git_oid oid = to_git(ref->second);
  *found = git_reference__alloc(name, &oid, nullptr);
  return *found != nullptr ? 0 : GIT_ERROR;
}

int has_ref(int* exists, git_refdb_backend* backend, const char* name) {
  *exists = refs_of(backend).contains(name) ? 1 : 0;
  return 0;
}

int next_ref_name(const char** name, git_reference_iterator* iterator) {
  auto& position = *reinterpret_cast<RefIterator*>(iterator);
  if (position.next == position.end) return GIT_ITEROVER;
  *name = position.next++->first.c_str();
  return 0;
}

int next_ref(git_reference** ref, git_reference_iterator* iterator) {
  auto& position = *reinterpret_cast<RefIterator*>(iterator);
  if (position.next == position.end) return GIT_ITEROVER;
  git_oid oid = to_git(position.next->second);
  *ref = git_reference__alloc(position.next++->first.c_str(), &oid, nullptr);
  return *ref != nullptr ? 0 : GIT_ERROR;
}

int iterate_refs(git_reference_iterator** iterator, git_refdb_backend* backend, const char*) {
  auto* made = new RefIterator{{}, refs_of(backend).begin(), refs_of(backend).end()};
  made->iterator.next = next_ref;
  made->iterator.next_name = next_ref_name;
  made->iterator.free = [](git_reference_iterator* ended) { delete reinterpret_cast<RefIterator*>(ended); };
  *iterator = &made->iterator;
  return 0;
}

// Nothing is ever written to it; libgit2 demands that these are there.
void refuse_writes(git_refdb_backend& backend) {
  backend.write = [](git_refdb_backend*, const git_reference*, int, const git_signature*, const char*,
                     const git_oid*, const char*) -> int { return GIT_ERROR; };
  backend.rename = [](git_reference**, git_refdb_backend*, const char*, const char*, int,
                      const git_signature*, const char*) -> int { return GIT_ERROR; };
  backend.del = [](git_refdb_backend*, const char*, const git_oid*, const char*) -> int { return GIT_ERROR; };
  backend.has_log = [](git_refdb_backend*, const char*) { return 0; };
  backend.ensure_log = [](git_refdb_backend*, const char*) -> int { return GIT_ERROR; };
  backend.reflog_read = [](git_reflog**, git_refdb_backend*, const char*) -> int { return GIT_ENOTFOUND; };
  backend.reflog_write = [](git_refdb_backend*, git_reflog*) -> int { return GIT_ERROR; };
  backend.reflog_rename = [](git_refdb_backend*, const char*, const char*) -> int { return GIT_ERROR; };
  backend.reflog_delete = [](git_refdb_backend*, const char*) -> int { return GIT_ERROR; };
}

int add_objects(git_repository* repository, Objects made) {
  git_odb* odb = nullptr;
  if (int status = git_odb_new(&odb); status < 0) return status;
  auto* objects = new Objects(made);
  git_odb_init_backend(&objects->backend, GIT_ODB_BACKEND_VERSION);
  objects->backend.read = read_object;
  objects->backend.read_header = read_object_header;
  objects->backend.exists = has_object;
  objects->backend.writepack = open_pack;
  objects->backend.free = [](git_odb_backend* ended) { delete reinterpret_cast<Objects*>(ended); };
  int status = git_odb_add_backend(odb, &objects->backend, /*priority=*/1);
  if (status < 0) {
    delete objects;
  } else {
    status = git_repository_set_odb(repository, odb);
  }
  git_odb_free(odb);
  return status;
}

int add_refs(git_repository* repository, const std::map<std::string, ObjectId>& known) {
  git_refdb* refdb = nullptr;
  if (int status = git_refdb_new(&refdb, repository); status < 0) return status;
  auto* refs = new Refs{{}, &known};
  git_refdb_init_backend(&refs->backend, GIT_REFDB_BACKEND_VERSION);
  refs->backend.exists = has_ref;
  refs->backend.lookup = find_ref;
  refs->backend.iterator = iterate_refs;
  refuse_writes(refs->backend);
  refs->backend.free = [](git_refdb_backend* ended) { delete reinterpret_cast<Refs*>(ended); };
  int status = git_refdb_set_backend(refdb, &refs->backend);
  if (status < 0) {
    delete refs;
  } else {
    status = git_repository_set_refdb(repository, refdb);
  }
  git_refdb_free(refdb);
  return status;
}

}  // namespace

KnownRepository::KnownRepository(const FetchJob& job, PackSink sink) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.sink = std::move(sink);
  for (const KnownCommit& commit : job.commits) {
    state.commits.emplace(commit.id, stand_in(commit));
    state.ids.insert(commit.id);
  }
  unsigned count = 0;
  for (const NamedRef& ref : job.refs)
    state.ids.insert(ref.id);
  // Whatever commit is known can be told to the server: each has a ref, so that the walk finds it.
  for (const KnownCommit& commit : job.commits)
    state.refs.emplace("refs/known/" + std::to_string(count++), commit.id);
  git_repository* repository = nullptr;
  if (git_repository_new(&repository) < 0) return;
  git_config* configuration = nullptr;
  bool is_good =
      git_config_new(&configuration) == 0 && git_repository_set_config(repository, configuration) == 0;
  git_config_free(configuration);
  is_good = is_good && add_objects(repository, Objects{{}, &state.commits, &state.ids, &state.sink}) == 0 &&
            add_refs(repository, state.refs) == 0;
  if (is_good) {
    state.repository = repository;
  } else {
    git_repository_free(repository);
  }
}

KnownRepository::~KnownRepository() { git_repository_free(state_->repository); }

git_repository* KnownRepository::get() const { return state_->repository; }

bool KnownRepository::knows(const ObjectId& id) const { return state_->ids.contains(id); }

}  // namespace gitproc
