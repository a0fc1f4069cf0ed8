// A repository in memory that only knows which refs and commits are there: what the receiver negotiates with, so
// that it needs no access to the real one. Commits are made up from their time and parents; nothing but the walk of
// the negotiation reads them. A pack that is written to it goes to a sink, byte by byte as it came.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string_view>

#include "drivers/git/fetch_message.h"

struct git_repository;

namespace gitproc {

class KnownRepository {
 public:
  // Takes the next bytes of a pack; false ends the download.
  using PackSink = std::function<bool(std::string_view)>;

  KnownRepository(const FetchJob& job, PackSink sink);
  ~KnownRepository();
  KnownRepository(const KnownRepository&) = delete;
  KnownRepository& operator=(const KnownRepository&) = delete;

  // Null where libgit2 has no memory for it.
  git_repository* get() const;
  bool knows(const ObjectId& id) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gitproc
