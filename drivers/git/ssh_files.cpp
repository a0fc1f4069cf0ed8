#include "drivers/git/ssh_files.h"

#include <algorithm>
#include <vector>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    lines.push_back(trim(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// The word that begins at or after `at`, which then is behind it.
std::string_view next_word(std::string_view line, std::size_t& at) {
  std::size_t begin = std::min(line.find_first_not_of(" \t", at), line.size());
  at = std::min(line.find_first_of(" \t", begin), line.size());
  return line.substr(begin, at - begin);
}

// The base64 text of the key: the third word, after hosts and type; one later behind a marker.
std::string_view key_of(std::string_view line) {
  std::size_t at = 0;
  unsigned before = line.starts_with('@') ? 3 : 2;
  for (unsigned i = 0; i < before; ++i)
    (void)next_word(line, at);
  return next_word(line, at);
}

}  // namespace

std::string usable_known_hosts(std::string_view text) {
  std::vector<std::string_view> lines = lines_of(text), revoked;
  for (std::string_view line : lines) {
    if (line.starts_with("@revoked")) revoked.push_back(key_of(line));
  }
  std::string usable;
  for (std::string_view line : lines) {
    bool is_entry = !line.empty() && !line.starts_with('#') && !line.starts_with('@');
    if (is_entry && std::ranges::find(revoked, key_of(line)) == revoked.end())
      usable += std::string(line) + "\n";
  }
  return usable;
}

HostKnowledge knowledge_of_host(std::string_view known_hosts, std::string_view host) {
  HostKnowledge knowledge = HostKnowledge::unknown;
  for (std::string_view line : lines_of(known_hosts)) {
    std::size_t at = 0;
    std::string_view hosts = next_word(line, at);
    if (hosts.starts_with('|')) {
      knowledge = HostKnowledge::perhaps;
      continue;
    }
    while (!hosts.empty()) {
      std::size_t comma = hosts.find(',');
      std::string_view name = hosts.substr(0, comma);
      if (name.starts_with('[')) name = name.substr(1, std::min(name.find(']'), name.size()) - 1);
      if (name == host) return HostKnowledge::known;
      hosts.remove_prefix(comma == std::string_view::npos ? hosts.size() : comma + 1);
    }
  }
  return knowledge;
}

bool is_rsa_key(std::string_view private_key) {
  if (private_key.find("BEGIN RSA PRIVATE KEY") != std::string_view::npos) return true;
  if (private_key.find("BEGIN OPENSSH PRIVATE KEY") == std::string_view::npos) return false;
  // The public key comes first and begins with "ssh-rsa", which base64 writes in one of three ways.
  constexpr std::size_t public_part = 512;
  std::string beginning(private_key.substr(0, public_part));
  std::erase(beginning, '\n');
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{"c3NoLXJzY", "zc2gtcnNh", "NzaC1yc2"},
      [&](std::string_view text) { return beginning.find(text) != std::string_view::npos; });
}

}  // namespace gitproc
