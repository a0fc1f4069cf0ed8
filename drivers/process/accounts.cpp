#include "drivers/process/accounts.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "drivers/base/system_call.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr int user_exit_code = 217;
constexpr int group_exit_code = 216;
constexpr std::size_t first_buffer_bytes = 4096;
constexpr std::size_t max_buffer_bytes = 1u << 20;  // a group of tens of thousands of members
constexpr int max_groups = 65536;                   // NGROUPS_MAX

std::optional<unsigned> parse_id(const std::string& text) {
  auto id = parse_number<unsigned>(text);
  // -1 means "unchanged" to setresuid(2) and 65535 did so once: systemd refuses both.
  return id == ~0u || id == 0xffffu ? std::nullopt : id;
}

// Calls a getXXX_r function with a growing buffer; true when there is such an entry.
template <typename Call>
bool look_up(Call call, std::vector<char>& buffer, int& error_number) {
  for (std::size_t size = first_buffer_bytes; size <= max_buffer_bytes; size *= 4) {
    buffer.resize(size);
    bool is_found = false;
    error_number = call(buffer, is_found);
    if (error_number != ERANGE && error_number != EINTR) return error_number == 0 && is_found;
  }
  return false;
}

std::string lack_of(const std::string& what, const std::string& name, int error_number) {
  // These mean "not found" too: getpwnam(3).
  bool is_missing = error_number == 0 || error_number == ENOENT || error_number == ESRCH ||
                    error_number == EBADF || error_number == EPERM;
  return "cannot find " + what + " '" + name + "'" + (is_missing ? "" : ": " + error_text(error_number));
}

std::expected<Account, SpawnFault> find_user(const std::string& name) {
  std::vector<char> buffer;
  passwd entry{};
  int error_number = 0;
  std::optional<unsigned> id = parse_id(name);
  bool is_found = look_up(
      [&](std::vector<char>& space, bool& found) {
        passwd* result = nullptr;
        int code = id ? ::getpwuid_r(*id, &entry, space.data(), space.size(), &result)
                      : ::getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &result);
        found = result != nullptr;
        return code;
      },
      buffer, error_number);
  if (is_found) {
    return Account{.uid = entry.pw_uid,
                   .gid = entry.pw_gid,
                   .groups = {},
                   .name = entry.pw_name,
                   .home = entry.pw_dir,
                   .shell = entry.pw_shell};
  }
  // A number needs no entry.
  if (id) return Account{.uid = *id, .gid = *id, .groups = {}, .name = name, .home = "", .shell = ""};
  return std::unexpected(SpawnFault{user_exit_code, lack_of("user", name, error_number)});
}

std::expected<gid_t, SpawnFault> find_group(const std::string& name) {
  if (std::optional<unsigned> id = parse_id(name)) return *id;
  std::vector<char> buffer;
  group entry{};
  int error_number = 0;
  bool is_found = look_up(
      [&](std::vector<char>& space, bool& found) {
        group* result = nullptr;
        int code = ::getgrnam_r(name.c_str(), &entry, space.data(), space.size(), &result);
        found = result != nullptr;
        return code;
      },
      buffer, error_number);
  if (is_found) return entry.gr_gid;
  return std::unexpected(SpawnFault{group_exit_code, lack_of("group", name, error_number)});
}

// The groups that the group database lists the user in, and `primary`.
std::vector<gid_t> groups_of(const std::string& user, gid_t primary) {
  std::vector<gid_t> groups(64);
  int count = static_cast<int>(groups.size());
  while (::getgrouplist(user.c_str(), primary, groups.data(), &count) < 0 && count <= max_groups) {
    groups.resize(std::max(static_cast<std::size_t>(count), 2 * groups.size()));
    count = static_cast<int>(groups.size());
  }
  groups.resize(static_cast<std::size_t>(std::clamp(count, 0, static_cast<int>(groups.size()))));
  return groups;
}

std::expected<Account, SpawnFault> look_up_account(const ExecContext& exec) {
  Account account;
  if (exec.user.empty()) {
    account = own_account();
  } else {
    std::expected<Account, SpawnFault> user = find_user(exec.user);
    if (!user) return user;
    account = std::move(*user);
  }
  if (!exec.group.empty()) {
    std::expected<gid_t, SpawnFault> group = find_group(exec.group);
    if (!group) return std::unexpected(group.error());
    account.gid = *group;
  }
  if (!exec.user.empty()) account.groups = groups_of(account.name, account.gid);
  for (const std::string& name : exec.supplementary_groups) {
    std::expected<gid_t, SpawnFault> group = find_group(name);
    if (!group) return std::unexpected(group.error());
    account.groups.push_back(*group);
  }
  return account;
}

}  // namespace

std::expected<Account, SpawnFault> Accounts::resolve(const ExecContext& exec, Instant now) {
  std::string key = exec.user + "\n" + exec.group + "\n" + join(exec.supplementary_groups, "\n");
  auto kept = kept_.find(key);
  if (kept != kept_.end() && now < kept->second.until) return kept->second.account;
  std::expected<Account, SpawnFault> account = look_up_account(exec);
  if (!account) return account;
  if (kept_.size() >= max_kept) kept_.clear();
  kept_[key] = Kept{.account = *account, .until = after(now, validity)};
  return account;
}

Account own_account() {
  std::expected<Account, SpawnFault> found = find_user(std::to_string(::geteuid()));
  Account account = found ? std::move(*found) : Account{};
  account.uid = ::geteuid();
  account.gid = ::getegid();
  return account;
}

}  // namespace gitproc
