// The first repository of a user: `gitproc init`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"

namespace gitproc {

struct InitialFile {
  std::string path;  // '/'-separated, below the top
  std::string content;
};

struct InitOutcome {
  bool is_new_repository = false;
  std::string branch;
  std::optional<ObjectId> commit;  // nullopt: the repository had commits already, and nothing was done
};

// Makes `path` (and its parents) a repository with branch main where there is none, and gives one without a
// commit its first: `files`, written to the working tree too unless it is bare. A file that exists stays as
// it is, and is committed so. Author is user.name and user.email of the git configuration, else GitProc.
Result<InitOutcome> init_repository(const std::string& path, const std::vector<InitialFile>& files,
                                    std::string_view message);

}  // namespace gitproc
