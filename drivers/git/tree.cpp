#include "drivers/git/tree.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::size_t id_bytes = 20;
constexpr std::size_t max_mode_digits = 6;

std::optional<unsigned> parse_mode(std::string_view digits) {
  if (digits.empty() || digits.size() > max_mode_digits) return std::nullopt;
  unsigned mode = 0;
  for (char digit : digits) {
    if (digit < '0' || digit > '7') return std::nullopt;
    mode = mode * 8 + static_cast<unsigned>(digit - '0');
  }
  return mode;
}

// Only the kind and the owner's execute bit count, as in git: old repositories hold modes such as 100664.
std::optional<EntryKind> kind_of_mode(unsigned mode) {
  switch (mode & 0170000) {
    case 0040000: return EntryKind::folder;
    case 0100000: return (mode & 0100) != 0 ? EntryKind::executable : EntryKind::file;
    case 0120000: return EntryKind::symlink;
    case 0160000: return EntryKind::submodule;
    default: return std::nullopt;
  }
}

bool is_dot_git(std::string_view name) {
  auto is_letter = [](char c, char lower) { return c == lower || c == lower - 'a' + 'A'; };
  return name.size() == 4 && name[0] == '.' && is_letter(name[1], 'g') && is_letter(name[2], 'i') &&
         is_letter(name[3], 't');
}

bool is_valid_name(std::string_view name) {
  return !name.empty() && name.size() <= max_entry_name_bytes && name != "." && name != ".." &&
         !is_dot_git(name) && name.find('/') == std::string_view::npos;
}

std::unexpected<Error> malformed(std::string what) {
  return fail("malformed tree: " + std::move(what), ErrorCode::invalid);
}

// Between a file and a folder of one name lie only entries that the name is a proper prefix of, so the walk
// back is short: each entry is passed at most once for each of its prefixes.
bool repeats_a_file(const std::vector<TreeRecord>& records) {
  std::string_view name = records.back().name;
  for (std::size_t i = records.size() - 1; i > 0 && records[i - 1].name.starts_with(name); --i) {
    if (records[i - 1].name.size() == name.size()) return true;
  }
  return false;
}

}  // namespace

ObjectId TreeRecord::object_id() const {
  ObjectId object;
  std::memcpy(object.bytes.data(), id, id_bytes);
  return object;
}

int compare_in_tree_order(const TreeRecord& a, const TreeRecord& b) {
  std::size_t common = std::min(a.name.size(), b.name.size());
  if (int order = std::memcmp(a.name.data(), b.name.data(), common); order != 0) return order;
  auto next = [common](const TreeRecord& record) -> int {
    if (record.name.size() > common) return static_cast<unsigned char>(record.name[common]);
    return record.kind == EntryKind::folder ? '/' : 0;
  };
  return next(a) - next(b);
}

Result<std::vector<TreeRecord>> parse_tree(std::string_view bytes) {
  std::vector<TreeRecord> records;
  records.reserve(bytes.size() / 32);
  while (!bytes.empty()) {
    std::size_t space = bytes.substr(0, max_mode_digits + 1).find(' ');
    auto mode = parse_mode(bytes.substr(0, std::min(space, bytes.size())));
    auto kind = mode ? kind_of_mode(*mode) : std::nullopt;
    if (space == std::string_view::npos || !kind) return malformed("an entry has no mode that git knows");
    bytes.remove_prefix(space + 1);
    std::size_t end = bytes.find('\0');
    if (end == std::string_view::npos || bytes.size() - end - 1 < id_bytes)
      return malformed("it is cut short");
    TreeRecord record{bytes.substr(0, end), *kind,
                      reinterpret_cast<const std::uint8_t*>(bytes.data()) + end + 1};
    bytes.remove_prefix(end + 1 + id_bytes);
    if (!is_valid_name(record.name)) return malformed("an entry is named '" + printable(record.name) + "'");
    if (!records.empty() && compare_in_tree_order(records.back(), record) >= 0) {
      return malformed("'" + printable(record.name) + "' is out of order");
    }
    records.push_back(record);
    if (record.kind == EntryKind::folder && repeats_a_file(records)) {
      return malformed("'" + printable(record.name) + "' is in it twice");
    }
  }
  return records;
}

Result<std::optional<TreeEntry>> entry_at(ObjectReader& objects, const ObjectId& tree,
                                          std::string_view path) {
  TreeEntry entry{EntryKind::folder, tree};
  while (!path.empty()) {
    if (entry.kind != EntryKind::folder) return std::nullopt;
    auto object = objects.read(entry.id, ObjectKind::tree, max_tree_object_bytes);
    if (!object) return std::unexpected(object.error());
    auto records = parse_tree(object->bytes());
    if (!records) return std::unexpected(records.error());
    std::size_t slash = path.find('/');
    std::string_view name = path.substr(0, slash);
    auto found = std::ranges::find(*records, name, &TreeRecord::name);
    if (found == records->end()) return std::nullopt;
    entry = TreeEntry{found->kind, found->object_id()};
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (slash != std::string_view::npos && path.empty()) return std::nullopt;  // "name/" is no path of git's
  }
  return entry;
}

}  // namespace gitproc
