#include "agent/notice.h"

#include <nlohmann/json.hpp>

#include "agent/protocol/json.h"
#include "reconcile/base/civil.h"
#include "reconcile/base/strings.h"
#include "reconcile/unit/quoting.h"

namespace gitproc {
namespace {

constexpr std::size_t abbreviated_hash = 12;

// What follows the scheme, up to the path.
std::string_view host_of(std::string_view url) {
  std::size_t begin = url.find("://");
  if (begin == std::string_view::npos) return {};
  url.remove_prefix(begin + 3);
  return url.substr(0, url.find_first_of("/?#"));
}

// Slack reads these three as markup.
std::string slack_text(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

// An environment variable ends at a NUL.
std::string variable(std::string_view name, std::string_view value) {
  return std::string(name) + "=" + std::string(value.substr(0, value.find('\0')));
}

}  // namespace

std::optional<NoticeFilter::Found> NoticeFilter::announced(const Announce& announcement) {
  if (!announcement.service.empty()) return std::nullopt;
  auto found = [&](std::string event) {
    return Found{.event = std::move(event), .message = announcement.reason, .commit = announcement.commit};
  };
  if (announcement.kind == "applied") return found("applied");
  if (announcement.kind == "pinned" || announcement.kind == "rolled_back") return found("rolled_back");
  if (announcement.kind == "rejected") {
    trouble_ = "rejected";
    return found("rejected");
  }
  return std::nullopt;
}

std::optional<NoticeFilter::Found> NoticeFilter::sync_changed(SyncState now, const std::string& error,
                                                              std::optional<ObjectId> commit) {
  switch (now) {
    case SyncState::degraded:
    case SyncState::held:
    case SyncState::error: {
      std::string event(to_string(now));
      if (trouble_ == event) return std::nullopt;
      trouble_ = event;
      return Found{.event = std::move(event), .message = error, .commit = commit};
    }
    case SyncState::synced:
      if (!std::exchange(trouble_, std::nullopt)) return std::nullopt;
      return Found{.event = "recovered", .message = "", .commit = commit};
    // Told as an announcement, with its commit; on the way to elsewhere.
    case SyncState::rejected:
    case SyncState::progressing: return std::nullopt;
  }
  __builtin_unreachable();
}

std::string notice_json(const Notice& notice) {
  return dump_json({{"event", notice.event},
                    {"at", to_rfc3339(notice.at)},
                    {"node", notice.node},
                    {"branch", notice.branch},
                    {"commit", notice.commit.empty() ? Json(nullptr) : Json(notice.commit)},
                    {"subject", notice.subject},
                    {"message", notice.message},
                    {"left_out", notice.left_out}});
}

std::string slack_json(const Notice& notice) {
  std::string text = notice.node + ": " + notice.event;
  if (!notice.commit.empty()) text += " " + notice.commit.substr(0, abbreviated_hash);
  if (!notice.subject.empty()) text += " \"" + notice.subject + "\"";
  if (!notice.message.empty()) text += ": " + notice.message;
  if (notice.left_out != 0) text += " (" + std::to_string(notice.left_out) + " like it before were left out)";
  return dump_json({{"text", slack_text(text)}});
}

bool takes_slack(std::string_view url) {
  std::string_view host = host_of(url);
  return host == "hooks.slack.com" || host == "hooks.slack-gov.com" || url.ends_with("/slack") ||
         url.ends_with("#slack");
}

std::vector<std::string> notice_environment(const Notice& notice) {
  return {variable("GITPROC_EVENT", notice.event),
          variable("GITPROC_AT", to_rfc3339(notice.at)),
          variable("GITPROC_NODE", notice.node),
          variable("GITPROC_BRANCH", notice.branch),
          variable("GITPROC_COMMIT", notice.commit),
          variable("GITPROC_SUBJECT", notice.subject),
          variable("GITPROC_MESSAGE", notice.message),
          variable("GITPROC_LEFT_OUT", std::to_string(notice.left_out))};
}

Result<std::vector<std::string>> parse_notice_command(std::string_view line) {
  auto words = split_words(line, Backslash::escape_or_keep);
  if (!words) return fail(words.error().message, ErrorCode::invalid);
  std::vector<std::string> command;
  for (Word& word : *words)
    command.push_back(std::move(word.text));
  if (command.empty() || !command.front().starts_with('/')) {
    return fail(
        "must begin with an absolute path, not '" + printable(command.empty() ? "" : command.front()) + "'",
        ErrorCode::invalid);
  }
  return command;
}

}  // namespace gitproc
