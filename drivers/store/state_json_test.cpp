#include "drivers/store/state_json.h"

#include "drivers/store/state_oracle.h"
#include "reconcile/base/civil.h"
#include "testing/catch.h"
#include "testing/corpus.h"

using namespace gitproc;

namespace {

ObjectId id(char digit) { return *ObjectId::parse(std::string(40, digit)); }

DurableState full_state() {
  WallTime noon = *parse_rfc3339("2026-11-22T12:00:00.25Z");
  DurableState state;
  state.applied = id('a');
  state.healthy = id('e');
  state.pin = Pin{id('b'), "uid 0", noon, "bad \"release\"\n", noon + std::chrono::hours(1)};
  state.branch_override = BranchOverride{"testing/é", std::nullopt};
  state.remote_base = RemoteBase{"testing/é", id('e')};
  state.acceptance = Acceptance{id('e'), id('f'), "uid 0", noon};
  state.follows_imports = true;
  state.holds["web"] = OperatorHold{"uid 1000", noon};
  state.operator_starts["job@1"] = OperatorStart{0xfedcba9876543210, "2c1f"};
  state.followed = Followed{"main", id('a')};
  state.trial = Trial{id('a'), {{"api", 0}, {"web", 0xfedcba9876543210}}};
  state.retreat = Retreat{id('e'), id('f'), noon, "web (failed)"};
  state.denials = {Denial{"web", 7, id('f'), noon, "web (failed)"}, Denial{"api", 8, id('f'), noon, "late"}};
  state.history = {HistoryEntry{.commit = id('c'),
                                .subject = "web: listen on 8080",
                                .author = "Ada <ada@example.org>",
                                .at = noon,
                                .took = Duration(1'234'567),
                                .cause = "commit",
                                .outcome = Outcome::degraded,
                                .message = "web failed"},
                   HistoryEntry{.commit = id('d'), .at = noon, .cause = "sync"}};
  state.verified = {VerifiedCommit{"main", id('e'), noon, id('f')}};
  state.machine = "0123456789abcdef0123456789abcdef";
  return state;
}

std::string nested(unsigned depth) {
  std::string text = R"({"x":)";
  text.append(depth, '[').append(depth, ']');
  return text + "}";
}

}  // namespace

TEST_CASE("a durable state is read as it was written") {
  CHECK(decode_state(encode_state(full_state())) == DecodedState{full_state(), {}, {}});
  CHECK(decode_state(encode_state(DurableState{})) == DecodedState{});
}

TEST_CASE("the file is written for people") {
  DurableState state;
  state.applied = id('a');
  state.holds["web"] = OperatorHold{"uid 0", *parse_rfc3339("2026-11-22T12:00:00Z")};
  state.operator_starts["job"] = OperatorStart{255, "2c1f"};
  state.followed = Followed{"main", id('a')};
  state.trial = Trial{id('b'), {{"web", 255}}};
  CHECK(encode_state(state) == R"({
  "schema": 1,
  "applied": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "healthy": null,
  "pin": null,
  "branch_override": null,
  "holds": {
    "web": {
      "by": "uid 0",
      "at": "2026-11-22T12:00:00Z"
    }
  },
  "operator_starts": {
    "job": {
      "fingerprint": "00000000000000ff",
      "boot_id": "2c1f"
    }
  },
  "followed": {
    "branch": "main",
    "commit": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  },
  "trial": {
    "commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "changed": {
      "web": "00000000000000ff"
    }
  },
  "retreat": null,
  "denials": [],
  "machine": "",
  "verified": [],
  "history": []
}
)");
}

TEST_CASE("texts of any bytes and any length can be written and read again") {
  DurableState state;
  state.history = {
      HistoryEntry{.subject = "\xFF\x01 \xC3", .author = std::string(100'000, 'a'), .cause = "commit"}};
  Result<DecodedState> read = decode_state(encode_state(state));
  REQUIRE(read);
  CHECK(read->faults.empty());
  CHECK(read->state.history.at(0).subject == "\xEF\xBF\xBD\x01 \xEF\xBF\xBD");
  CHECK(read->state.history.at(0).author == std::string(state_text_limit_bytes - 3, 'a') + "...");
}

TEST_CASE("unknown keys are left out and named") {
  std::string text =
      R"({"schema":1,"colour":3,"holds":{"web":{"by":"uid 0","at":"2026-11-22T12:00:00Z","why":[1]}}})";
  DecodedState expected;
  expected.state.holds["web"] = OperatorHold{"uid 0", *parse_rfc3339("2026-11-22T12:00:00Z")};
  expected.unknown_keys = {"holds.web.why", "colour"};
  CHECK(decode_state(text) == expected);
}

TEST_CASE("a member that is wrong is left out whole, and the others are kept") {
  std::string good = R"({"by":"uid 0","at":"2026-11-22T12:00:00Z"})";
  std::string text = R"({"schema":1,"applied":"aaa","pin":{"commit":7},"branch_override":[],"holds":{"a":)" +
                     good + R"(,"b":{"by":"uid 0","at":"yesterday"},"c":3},"operator_starts":1,)" +
                     R"("trial":{"commit":")" + std::string(40, 'a') +
                     R"(","changed":{"web":7}},"denials":{},)" + R"("history":[{"commit":null},"x"]})";
  DecodedState expected;
  expected.state.holds["a"] = OperatorHold{"uid 0", *parse_rfc3339("2026-11-22T12:00:00Z")};
  expected.faults = {"applied",           "pin.commit",      "branch_override",   "holds.b.at",
                     "holds.c",           "operator_starts", "trial.changed.web", "denials",
                     "history[0].commit", "history[1]"};
  CHECK(decode_state(text) == expected);
}

TEST_CASE("impossible values are faults: versions, spans and words that nobody wrote") {
  std::string entry = R"("commit":"cccccccccccccccccccccccccccccccccccccccc","subject":"","author":"",)"
                      R"("at":"2026-11-22T12:00:00Z","cause":"","message":"",)";
  auto faults = [&](const std::string& rest) {
    Result<DecodedState> read = decode_state(R"({"schema":1,"history":[{)" + entry + rest + "}]}");
    return read ? read->faults : std::vector<std::string>{read.error().message};
  };
  using Faults = std::vector<std::string>;
  CHECK(faults(R"("outcome":"healthy","took_seconds":0.5)") == Faults{});
  CHECK(faults(R"("outcome":"healthy","took_seconds":-1)") == Faults{"history[0].took_seconds"});
  CHECK(faults(R"("outcome":"healthy","took_seconds":1e300)") == Faults{"history[0].took_seconds"});
  CHECK(faults(R"("outcome":"great")") == Faults{"history[0].outcome"});
  CHECK(decode_state(R"({"schema":2})")->faults == Faults{"schema"});
  CHECK(decode_state("{}")->faults == Faults{"schema"});
}

TEST_CASE("a history longer than what is kept loses its oldest entries") {
  DurableState state;
  constexpr std::size_t limit = history_limit + rejected_history_limit;
  for (std::size_t i = 0; i < limit + 3; ++i) {
    state.history.push_back({.subject = std::to_string(i), .cause = "commit"});
  }
  Result<DecodedState> read = decode_state(encode_state(state));
  REQUIRE(read);
  CHECK(read->state.history.size() == limit);
  CHECK(read->state.history.front().subject == "3");
}

TEST_CASE("what holds no state is an error, however it is malformed") {
  CHECK(decode_state("").error().message == "malformed JSON at line 1, column 1");
  CHECK(decode_state("{\"schema\":\n1").error().message.starts_with("malformed JSON at line 2, column 2"));
  CHECK(decode_state("{\"schema\":\"\xFF\"}").error().code == ErrorCode::invalid);
  CHECK(decode_state("{\"schema\":1e999}").error().code == ErrorCode::invalid);
  CHECK(decode_state(std::string(4096, '\0')).error().code == ErrorCode::invalid);
  CHECK(decode_state("[]").error().message == "not a JSON object");
  CHECK(decode_state(nested(200'000)).error().message == "JSON is nested deeper than 16");
  CHECK(decode_state(nested(14)).has_value());
}

TEST_CASE("every beginning of a state file is an error, never a crash or half a state") {
  std::string whole = encode_state(full_state());
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
    REQUIRE_FALSE(decode_state(std::string_view(whole).substr(0, size)));
  }
}

TEST_CASE("the fuzzer's corpus: what was understood is written to be understood") {
  auto corpus = corpus_of("drivers/store");
  CHECK(corpus.size() > 5);
  for (const auto& [name, bytes] : corpus) {
    INFO(name);
    CHECK(state_fault(bytes) == "");
  }
}
