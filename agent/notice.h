// Notices: what people want to be told of a node without asking. Pure: what is a notice, and how it is written.
//
//     applied      a commit was applied to its end
//     rejected     a commit was refused
//     rolled_back  the node goes back to another commit, by an operator or by itself
//     degraded     a service failed or is unhealthy
//     held, error  a guard waits for an operator; git cannot be read
//     recovered    the node is as git says again, after degraded, held, error or rejected was told
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/command.h"
#include "reconcile/reconciler.h"

namespace gitproc {

struct Notice {
  std::string event;
  WallTime at;
  std::string node;
  std::string branch;
  std::string commit;   // in full; "": none
  std::string subject;  // of that commit, where it is known
  std::string message;
  unsigned left_out = 0;  // of its kind, before it, that were not told (notice_damper.h)

  bool operator==(const Notice&) const = default;
};

// Tells which of all that happens is a notice, each trouble once until the node has recovered.
class NoticeFilter {
 public:
  struct Found {
    std::string event;
    std::string message;
    std::optional<ObjectId> commit;

    bool operator==(const Found&) const = default;
  };

  std::optional<Found> announced(const Announce& announcement);
  std::optional<Found> sync_changed(SyncState now, const std::string& error, std::optional<ObjectId> commit);

 private:
  std::optional<std::string> trouble_;  // told, and not yet over
};

// One JSON object on one line, with the fields of Notice; `at` as RFC 3339.
std::string notice_json(const Notice& notice);
// The body of an incoming webhook of Slack, Mattermost, Rocket.Chat, Discord: {"text": "..."}.
std::string slack_json(const Notice& notice);
// Whether that is what goes to `url`: hooks.slack.com, or a URL that ends in "/slack" (Discord) or "#slack".
bool takes_slack(std::string_view url);

// GITPROC_EVENT and so on: "NAME=value".
std::vector<std::string> notice_environment(const Notice& notice);

// The words of `notify.exec`, quoted as in ExecStart=. An `invalid` error is the end of a sentence.
Result<std::vector<std::string>> parse_notice_command(std::string_view line);

}  // namespace gitproc
