#include "drivers/store/state_json.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "drivers/base/json_reader.h"
#include "reconcile/base/civil.h"
#include "reconcile/base/cut.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/object_id.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// Members in the order they are written in here. Only for writing: finding a key takes linear time.
using OrderedJson = nlohmann::ordered_json;
using Json = nlohmann::json;

// --- writing ---

std::string bounded(const std::string& text) {
  if (text.size() <= state_text_limit_bytes) return text;
  constexpr std::string_view more = "...";
  return std::string(cut_at_character(text, state_text_limit_bytes - more.size())) + std::string(more);
}

// A 64-bit number is more than JSON's numbers can hold everywhere.
std::string hex_digits(std::uint64_t value) {
  char digits[16];
  std::to_chars_result result = std::to_chars(digits, digits + sizeof digits, value, 16);
  std::string text(digits, result.ptr);
  return std::string(sizeof digits - text.size(), '0') + text;
}

OrderedJson optional_time(const std::optional<WallTime>& time) {
  return time ? OrderedJson(to_rfc3339(*time)) : OrderedJson(nullptr);
}

// The structured bindings below stop compiling when a member is added to what they take apart: so that none is
// forgotten here.

OrderedJson encode(const Pin& pin) {
  const auto& [commit, by, at, reason, until] = pin;
  return OrderedJson{{"commit", commit.hex()},
                     {"by", bounded(by)},
                     {"at", to_rfc3339(at)},
                     {"reason", bounded(reason)},
                     {"until", optional_time(until)}};
}

OrderedJson encode(const BranchOverride& override) {
  const auto& [branch, until] = override;
  return OrderedJson{{"name", branch}, {"until", optional_time(until)}};
}

OrderedJson encode(const RemoteBase& base) {
  const auto& [branch, commit] = base;
  return OrderedJson{{"branch", branch}, {"commit", commit.hex()}};
}

OrderedJson encode(const Acceptance& acceptance) {
  const auto& [commit, local, by, at] = acceptance;
  return OrderedJson{{"commit", commit.hex()},
                     {"local", local ? OrderedJson(local->hex()) : OrderedJson(nullptr)},
                     {"by", bounded(by)},
                     {"at", to_rfc3339(at)}};
}

OrderedJson encode(const OperatorHold& hold) {
  const auto& [by, at] = hold;
  return OrderedJson{{"by", bounded(by)}, {"at", to_rfc3339(at)}};
}

OrderedJson encode(const OperatorStart& start) {
  const auto& [fingerprint, boot_id] = start;
  return OrderedJson{{"fingerprint", hex_digits(fingerprint)}, {"boot_id", boot_id}};
}

OrderedJson encode(const Followed& followed) {
  const auto& [branch, commit] = followed;
  return OrderedJson{{"branch", branch}, {"commit", commit.hex()}};
}

OrderedJson encode(const Trial& trial) {
  const auto& [commit, changed] = trial;
  OrderedJson::object_t units;
  for (const auto& [name, before] : changed)
    units.emplace_back(name, hex_digits(before));
  return OrderedJson{{"commit", commit.hex()}, {"changed", std::move(units)}};
}

OrderedJson encode(const Retreat& retreat) {
  const auto& [to, from, at, reason] = retreat;
  return OrderedJson{
      {"to", to.hex()}, {"from", from.hex()}, {"at", to_rfc3339(at)}, {"reason", bounded(reason)}};
}

OrderedJson encode(const Denial& denial) {
  const auto& [service, fingerprint, commit, at, reason] = denial;
  return OrderedJson{{"service", service},
                     {"fingerprint", hex_digits(fingerprint)},
                     {"commit", commit.hex()},
                     {"at", to_rfc3339(at)},
                     {"reason", bounded(reason)}};
}

OrderedJson encode(const HistoryEntry& entry) {
  const auto& [commit, subject, author, at, took, cause, outcome, message] = entry;
  return OrderedJson{{"commit", commit.hex()},
                     {"subject", bounded(subject)},
                     {"author", bounded(author)},
                     {"at", to_rfc3339(at)},
                     {"took_seconds", took ? OrderedJson(std::chrono::duration<double>(*took).count())
                                           : OrderedJson(nullptr)},
                     {"cause", bounded(cause)},
                     {"outcome", std::string(to_string(outcome))},
                     {"message", bounded(message)}};
}

OrderedJson encode(const VerifiedCommit& verified) {
  const auto& [branch, commit, at, from] = verified;
  return OrderedJson{
      {"branch", branch}, {"commit", commit.hex()}, {"at", to_rfc3339(at)}, {"from", from.hex()}};
}

OrderedJson optional_commit(const std::optional<ObjectId>& commit) {
  return commit ? OrderedJson(commit->hex()) : OrderedJson(nullptr);
}

template <typename Value>
OrderedJson encode_optional(const std::optional<Value>& value) {
  return value ? encode(*value) : OrderedJson(nullptr);
}

template <typename Value>
OrderedJson encode_list(const std::vector<Value>& values) {
  OrderedJson list = OrderedJson::array();
  for (const Value& value : values)
    list.push_back(encode(value));
  return list;
}

template <typename Map>
OrderedJson encode_map(const Map& map) {
  OrderedJson::object_t members;
  // emplace_back of the vector underneath: the object's own insertion would search for the key each time.
  for (const auto& [key, value] : map)
    members.emplace_back(key, encode(value));
  return members;
}

// --- reading ---

// Faults that are listed one by one; a file with more is no better described by all of them.
constexpr std::size_t remark_limit = 20;

void remark(std::vector<std::string>& remarks, const std::string& path) {
  if (remarks.size() < remark_limit) remarks.push_back(printable(path));
}

// One JSON object being read: each member is taken by name, what is wrong is remarked upon, and finish() finds
// what nobody took.
class Object {
 public:
  Object(const Json& json, std::string path, DecodedState& remarks)
      : json_(json), path_(std::move(path)), remarks_(remarks) {
    if (!json_.is_object()) fault("");
  }

  // Whether everything so far was there and understood.
  bool is_good() const { return is_good_; }

  std::string text(const char* key) {
    const Json* member = take(key);
    if (member != nullptr && member->is_string()) return member->get_ref<const std::string&>();
    fault(key);
    return {};
  }

  // `parse` turns the text into an optional; nothing is a fault. With `may_be_absent`, null and absence are not.
  template <typename Parse>
  auto parsed(const char* key, Parse parse) -> typename decltype(parse(std::string_view()))::value_type {
    auto value = parse(text(key));
    if (!value) fault(key);
    return value.value_or(typename decltype(value)::value_type{});
  }
  template <typename Parse>
  auto parsed_or_absent(const char* key, Parse parse) -> decltype(parse(std::string_view())) {
    if (is_absent(key)) return std::nullopt;
    return parsed(key, parse);
  }

  std::optional<Duration> seconds_or_absent(const char* key) {
    static constexpr double longest = 1e9;  // 31 years
    if (is_absent(key)) return std::nullopt;
    const Json* member = take(key);
    double seconds = member->is_number() ? member->get<double>() : -1;
    if (!(seconds >= 0 && seconds <= longest)) {
      fault(key);
      return std::nullopt;
    }
    return Duration(std::llround(seconds * 1e6));
  }

  // Null and absence are alike.
  bool is_absent(const char* key) {
    const Json* member = take(key);
    return member == nullptr || member->is_null();
  }

  // The member, or nullptr; from now on it is a known one.
  const Json* take(const char* key) {
    known_.push_back(key);
    if (!json_.is_object()) return nullptr;
    auto found = json_.find(key);
    return found == json_.end() ? nullptr : &*found;
  }

  std::string path_of(const std::string& key) const {
    if (path_.empty()) return key;
    return key.empty() ? path_ : path_ + "." + key;
  }

  void fault(const std::string& key) {
    // One fault spoils the object: those that follow from it say nothing new.
    if (is_good_) remark(remarks_.faults, path_of(key));
    is_good_ = false;
  }

  void finish() {
    if (!json_.is_object()) return;
    for (auto member = json_.begin(); member != json_.end(); ++member) {
      if (std::find(known_.begin(), known_.end(), member.key()) != known_.end()) continue;
      remark(remarks_.unknown_keys, path_of(member.key()));
    }
  }

 private:
  const Json& json_;
  std::string path_;
  DecodedState& remarks_;
  std::vector<std::string> known_;
  bool is_good_ = true;
};

std::optional<std::uint64_t> parse_hex_digits(std::string_view text) {
  return text.size() == 16 ? parse_number<std::uint64_t>(text, 16) : std::nullopt;
}

std::optional<Pin> decode_pin(Object& object) {
  Pin pin;
  pin.commit = object.parsed("commit", ObjectId::parse);
  pin.by = object.text("by");
  pin.at = object.parsed("at", parse_rfc3339);
  pin.reason = object.text("reason");
  pin.until = object.parsed_or_absent("until", parse_rfc3339);
  return pin;
}

std::optional<BranchOverride> decode_branch(Object& object) {
  BranchOverride override;
  override.branch = object.text("name");
  override.until = object.parsed_or_absent("until", parse_rfc3339);
  if (override.branch.empty()) object.fault("name");
  return override;
}

std::optional<RemoteBase> decode_remote_base(Object& object) {
  RemoteBase base;
  base.branch = object.text("branch");
  base.commit = object.parsed("commit", ObjectId::parse);
  if (base.branch.empty()) object.fault("branch");
  return base;
}

std::optional<Acceptance> decode_acceptance(Object& object) {
  Acceptance acceptance;
  acceptance.commit = object.parsed("commit", ObjectId::parse);
  acceptance.local = object.parsed_or_absent("local", ObjectId::parse);
  acceptance.by = object.text("by");
  acceptance.at = object.parsed("at", parse_rfc3339);
  return acceptance;
}

std::optional<OperatorHold> decode_hold(Object& object) {
  OperatorHold hold;
  hold.by = object.text("by");
  hold.at = object.parsed("at", parse_rfc3339);
  return hold;
}

std::optional<OperatorStart> decode_operator_start(Object& object) {
  OperatorStart start;
  start.fingerprint = object.parsed("fingerprint", parse_hex_digits);
  start.boot_id = object.text("boot_id");
  return start;
}

std::optional<Followed> decode_followed(Object& object) {
  Followed followed;
  followed.branch = object.text("branch");
  followed.commit = object.parsed("commit", ObjectId::parse);
  return followed;
}

std::optional<Trial> decode_trial(Object& object) {
  Trial trial;
  trial.commit = object.parsed("commit", ObjectId::parse);
  const Json* changed = object.take("changed");
  if (changed == nullptr || !changed->is_object()) {
    object.fault("changed");
    return trial;
  }
  for (auto member = changed->begin(); member != changed->end(); ++member) {
    auto before =
        member->is_string() ? parse_hex_digits(member->get_ref<const std::string&>()) : std::nullopt;
    if (!before) object.fault("changed." + member.key());
    trial.changed.emplace(member.key(), before.value_or(0));
  }
  return trial;
}

std::optional<Retreat> decode_retreat(Object& object) {
  Retreat retreat;
  retreat.to = object.parsed("to", ObjectId::parse);
  retreat.from = object.parsed("from", ObjectId::parse);
  retreat.at = object.parsed("at", parse_rfc3339);
  retreat.reason = object.text("reason");
  return retreat;
}

std::optional<Denial> decode_denial(Object& object) {
  Denial denial;
  denial.service = object.text("service");
  denial.fingerprint = object.parsed("fingerprint", parse_hex_digits);
  denial.commit = object.parsed("commit", ObjectId::parse);
  denial.at = object.parsed("at", parse_rfc3339);
  denial.reason = object.text("reason");
  return denial;
}

std::optional<VerifiedCommit> decode_verified_commit(Object& object) {
  VerifiedCommit verified;
  verified.branch = object.text("branch");
  verified.commit = object.parsed("commit", ObjectId::parse);
  verified.at = object.parsed("at", parse_rfc3339);
  verified.from = object.parsed("from", ObjectId::parse);
  return verified;
}

std::optional<HistoryEntry> decode_history_entry(Object& object) {
  HistoryEntry entry;
  entry.commit = object.parsed("commit", ObjectId::parse);
  entry.subject = object.text("subject");
  entry.author = object.text("author");
  entry.at = object.parsed("at", parse_rfc3339);
  entry.took = object.seconds_or_absent("took_seconds");
  entry.cause = object.text("cause");
  entry.outcome = object.parsed("outcome", parse_outcome);
  entry.message = object.text("message");
  return entry;
}

// The value `decode` makes of `json`; nullopt, with a remark, where a part of it is wrong.
template <typename Decode>
auto decode_object(const Json& json, std::string path, DecodedState& remarks, Decode decode)
    -> decltype(decode(std::declval<Object&>())) {
  Object object(json, std::move(path), remarks);
  auto value = decode(object);
  if (!object.is_good()) return std::nullopt;
  object.finish();
  return value;
}

// Members of the outermost object stand each for itself: a fault in one does not spoil the others.

// A member that is an object, null or absent.
template <typename Decode>
auto decode_member(Object& parent, const char* key, DecodedState& remarks, Decode decode)
    -> decltype(decode(std::declval<Object&>())) {
  if (parent.is_absent(key)) return std::nullopt;
  return decode_object(*parent.take(key), parent.path_of(key), remarks, decode);
}

// A member that is an object of named objects.
template <typename Map, typename Decode>
void decode_map(Object& parent, const char* key, DecodedState& remarks, Map& map, Decode decode) {
  if (parent.is_absent(key)) return;
  const Json& json = *parent.take(key);
  if (!json.is_object()) return remark(remarks.faults, key);
  for (auto member = json.begin(); member != json.end(); ++member) {
    auto value = decode_object(*member, parent.path_of(key) + "." + member.key(), remarks, decode);
    if (value) map.insert_or_assign(member.key(), std::move(*value));
  }
}

void decode_commit(Object& parent, const char* key, DecodedState& remarks, std::optional<ObjectId>& commit) {
  if (parent.is_absent(key)) return;
  const Json& json = *parent.take(key);
  if (json.is_string()) commit = ObjectId::parse(json.get_ref<const std::string&>());
  if (!commit) remark(remarks.faults, key);
}

void decode_flag(Object& parent, const char* key, DecodedState& remarks, bool& flag) {
  if (parent.is_absent(key)) return;
  const Json& json = *parent.take(key);
  if (json.is_boolean()) {
    flag = json.get<bool>();
  } else {
    remark(remarks.faults, key);
  }
}

// A member that is an array of objects, oldest first. Only the newest `limit` are kept; a person who added more gets
// what the limit says.
template <typename Value, typename Decode>
void decode_list(Object& parent, const std::string& key, DecodedState& remarks, std::size_t limit,
                 std::vector<Value>& values, Decode decode) {
  if (parent.is_absent(key.c_str())) return;
  const Json& json = *parent.take(key.c_str());
  if (!json.is_array()) return remark(remarks.faults, key);
  std::size_t first = json.size() > limit ? json.size() - limit : 0;
  for (std::size_t i = first; i < json.size(); ++i) {
    auto value = decode_object(json[i], key + "[" + std::to_string(i) + "]", remarks, decode);
    if (value) values.push_back(std::move(*value));
  }
}

}  // namespace

std::string encode_state(const DurableState& state) {
  const auto& [applied, healthy, pin, branch_override, remote_base, acceptance, follows_imports, holds,
               operator_starts, followed, trial, retreat, denials, history, verified, machine] = state;
  OrderedJson json;
  json["schema"] = state_schema_version;
  json["applied"] = optional_commit(applied);
  json["healthy"] = optional_commit(healthy);
  json["pin"] = encode_optional(pin);
  json["branch_override"] = encode_optional(branch_override);
  // Of nodes that have, or had, a remote.
  if (remote_base) json["remote_base"] = encode(*remote_base);
  if (acceptance) json["acceptance"] = encode(*acceptance);
  if (follows_imports) json["follows_imports"] = true;
  json["holds"] = encode_map(holds);
  json["operator_starts"] = encode_map(operator_starts);
  json["followed"] = encode_optional(followed);
  json["trial"] = encode_optional(trial);
  json["retreat"] = encode_optional(retreat);
  json["denials"] = encode_list(denials);
  json["machine"] = machine;
  json["verified"] = encode_list(verified);
  json["history"] = encode_list(history);
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

Result<DecodedState> decode_state(std::string_view text) {
  const Result<Json> json = read_json(text, state_depth_limit);
  if (!json) return std::unexpected(json.error());
  if (!json->is_object()) return fail("not a JSON object", ErrorCode::invalid);

  DecodedState decoded;
  Object root(*json, "", decoded);
  const Json* schema = root.take("schema");
  if (schema == nullptr || *schema != Json(state_schema_version)) remark(decoded.faults, "schema");
  decode_commit(root, "applied", decoded, decoded.state.applied);
  decode_commit(root, "healthy", decoded, decoded.state.healthy);
  decoded.state.pin = decode_member(root, "pin", decoded, decode_pin);
  decoded.state.branch_override = decode_member(root, "branch_override", decoded, decode_branch);
  decoded.state.remote_base = decode_member(root, "remote_base", decoded, decode_remote_base);
  decoded.state.acceptance = decode_member(root, "acceptance", decoded, decode_acceptance);
  decode_flag(root, "follows_imports", decoded, decoded.state.follows_imports);
  decode_map(root, "holds", decoded, decoded.state.holds, decode_hold);
  decode_map(root, "operator_starts", decoded, decoded.state.operator_starts, decode_operator_start);
  decoded.state.followed = decode_member(root, "followed", decoded, decode_followed);
  decoded.state.trial = decode_member(root, "trial", decoded, decode_trial);
  decoded.state.retreat = decode_member(root, "retreat", decoded, decode_retreat);
  decode_list(root, "denials", decoded, denial_limit, decoded.state.denials, decode_denial);
  if (!root.is_absent("machine")) decoded.state.machine = root.text("machine");
  decode_list(root, "verified", decoded, verified_branches_limit, decoded.state.verified,
              decode_verified_commit);
  decode_list(root, "history", decoded, history_limit + rejected_history_limit, decoded.state.history,
              decode_history_entry);
  root.finish();
  return decoded;
}

}  // namespace gitproc
