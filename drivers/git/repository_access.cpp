#include "drivers/git/repository_access.h"

#include <grp.h>
#include <pwd.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <vector>

#include "drivers/base/system_call.h"
#include "drivers/git/folder_listing.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t name_service_buffer_bytes = 64u << 10;
constexpr unsigned max_ref_depth = 64;

// Whether `gid` is the group that adduser makes beside the user: of the same name, with no other members.
bool is_private_group(gid_t gid, uid_t uid) {
  std::vector<char> user_buffer(name_service_buffer_bytes), group_buffer(name_service_buffer_bytes);
  passwd user_entry{}, *user = nullptr;
  group group_entry{}, *found = nullptr;
  if (getpwuid_r(uid, &user_entry, user_buffer.data(), user_buffer.size(), &user) != 0 || user == nullptr)
    return false;
  if (getgrgid_r(gid, &group_entry, group_buffer.data(), group_buffer.size(), &found) != 0 ||
      found == nullptr)
    return false;
  if (user->pw_gid != gid || std::strcmp(user->pw_name, found->gr_name) != 0) return false;
  for (char** member = found->gr_mem; *member != nullptr; ++member) {
    if (std::strcmp(*member, user->pw_name) != 0) return false;
  }
  return true;
}

class WritersCheck {
 public:
  explicit WritersCheck(const Owner& owner) : owner_(owner) {}

  // A path that does not exist is nobody's to write: whoever may make it is judged by its parent.
  Result<void> path(const std::string& path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) {
      if (errno == ENOENT) return {};
      return fail_with_errno("cannot check who can write '" + printable(path) + "'");
    }
    if (status.st_uid != 0 && status.st_uid != owner_.uid) {
      return refuse(path, "belongs to uid " + std::to_string(status.st_uid) + ", neither root nor the owner");
    }
    if ((status.st_mode & S_IWOTH) != 0) return refuse(path, "everybody can write it");
    if ((status.st_mode & S_IWGRP) != 0 && !may_write(status.st_gid)) {
      return refuse(path, "group " + std::to_string(status.st_gid) + " can write it");
    }
    return {};
  }

  // `folder` and all that is in it.
  Result<void> below(const std::string& folder, unsigned depth) {
    if (auto checked = path(folder); !checked) return checked;
    if (depth == max_ref_depth) return refuse(folder, "folders nest too deep in it");
    auto entries = list_folder(folder, max_checked_refs);
    if (!entries)
      return entries.error().code == ErrorCode::not_found ? Result<void>{} : std::unexpected(entries.error());
    seen_ += entries->size();
    if (seen_ > max_checked_refs) {
      return refuse(folder,
                    "more than " + std::to_string(max_checked_refs) + " loose refs; run git pack-refs --all");
    }
    for (const ListedEntry& entry : *entries) {
      std::string child = folder + "/" + entry.name;
      auto checked = entry.kind == ListedKind::folder ? below(child, depth + 1) : path(child);
      if (!checked) return checked;
    }
    return {};
  }

 private:
  bool may_write(gid_t gid) {
    if (!private_group_) private_group_ = is_private_group(owner_.gid, owner_.uid) ? owner_.gid : no_group;
    return gid == *private_group_ || (gid == 0 && is_private_group(0, 0));
  }

  static std::unexpected<Error> refuse(const std::string& path, const std::string& why) {
    return fail("refused the repository for '" + printable(path) + "': " + why, ErrorCode::denied);
  }

  static constexpr gid_t no_group = static_cast<gid_t>(-1);
  Owner owner_;
  std::optional<gid_t> private_group_;
  std::size_t seen_ = 0;
};

}  // namespace

Result<Owner> owner_of(const std::string& git_dir) {
  struct stat status;
  if (::stat(git_dir.c_str(), &status) != 0)
    return fail_with_errno("cannot open repository '" + printable(git_dir) + "'");
  return Owner{status.st_uid, status.st_gid};
}

Result<void> check_writers(const std::string& git_dir, const std::string& common_dir, const Owner& owner) {
  WritersCheck check(owner);
  std::vector<std::string> paths = {git_dir, git_dir + "/HEAD", common_dir};
  for (const char* name : {"HEAD", "config", "packed-refs", "objects", "objects/pack", "objects/info"}) {
    paths.push_back(common_dir + "/" + name);
  }
  for (int first_byte = 0; first_byte < 256; ++first_byte) {
    constexpr char digits[] = "0123456789abcdef";
    paths.push_back(common_dir + "/objects/" + digits[first_byte >> 4] + digits[first_byte & 15]);
  }
  for (const std::string& path : paths) {
    if (auto checked = check.path(path); !checked) return checked;
  }
  if (auto checked = check.below(common_dir + "/refs", 0); !checked) return checked;
  return git_dir == common_dir ? Result<void>{} : check.below(git_dir + "/refs", 0);
}

ActingAsOwner::ActingAsOwner(const Owner& owner) {
  if (geteuid() != 0 || owner == Owner{0, 0}) return;
  // Neither call reports failure; one that has none is a write as root, which the owner can still read.
  setfsgid(owner.gid);
  setfsuid(owner.uid);
  is_switched_ = true;
}

ActingAsOwner::~ActingAsOwner() {
  if (!is_switched_) return;
  setfsuid(geteuid());
  setfsgid(getegid());
}

}  // namespace gitproc
