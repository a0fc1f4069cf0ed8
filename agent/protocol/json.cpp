#include "agent/protocol/json.h"

#include <nlohmann/json.hpp>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// Accepts any document that is well formed and not too deep, and builds nothing.
class Checker : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t position, const std::string& last_token, const Json::exception&) override {
    fault_ = "malformed JSON at byte " + std::to_string(position);
    if (!last_token.empty()) fault_ += ", near '" + printable(last_token, 40) + "'";
    return false;
  }

  const std::string& fault() const { return fault_; }

 private:
  bool enter() {
    if (++depth_ <= max_json_depth) return true;
    fault_ = "JSON is nested deeper than " + std::to_string(max_json_depth);
    return false;
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::size_t depth_ = 0;
  std::string fault_;
};

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (!is_utf8(text)) return fail("JSON is not valid UTF-8", ErrorCode::invalid);
  // The parser takes a NUL for the end and would not look at what comes after it.
  if (std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return fail("malformed JSON at byte " + std::to_string(nul + 1) + ": a NUL", ErrorCode::invalid);
  }
  Checker checker;
  if (!Json::sax_parse(text, &checker)) return fail(checker.fault(), ErrorCode::invalid);
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

Json diagnostics_json(const Diagnostics& diagnostics) {
  Json list = Json::array();
  for (const Diagnostic& diagnostic : diagnostics) {
    list.push_back({{"file", diagnostic.file},
                    {"line", diagnostic.line},
                    {"severity", diagnostic.severity == Severity::error ? "error" : "warning"},
                    {"message", diagnostic.message}});
  }
  return list;
}

std::string dump_json_indented(const Json& value) {
  return value.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace gitproc
