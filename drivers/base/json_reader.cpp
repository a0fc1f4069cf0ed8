#include "drivers/base/json_reader.h"

#include <algorithm>
#include <string>

#include <nlohmann/json.hpp>

#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

using Json = nlohmann::json;

// `offset`: of the byte that cannot be there; the text's size where it ends too early.
std::string malformed_at(std::string_view text, std::size_t offset) {
  std::string_view before = text.substr(0, offset);
  std::size_t line = 1 + static_cast<std::size_t>(std::ranges::count(before, '\n'));
  std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  return "malformed JSON at line " + std::to_string(line) + ", column " + std::to_string(column);
}

// Accepts any document that is well formed and not too deep, and builds nothing.
class Checker : public nlohmann::json_sax<Json> {
 public:
  Checker(std::string_view text, std::size_t depth_limit) : text_(text), depth_limit_(depth_limit) {}

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
  // `read`: how many bytes the parser took, the bad one among them.
  bool parse_error(std::size_t read, const std::string& last_token, const Json::exception&) override {
    fault_ = malformed_at(text_, read - std::min<std::size_t>(read, 1));
    if (!last_token.empty()) fault_ += ", near '" + printable(last_token, 40) + "'";
    return false;
  }

  const std::string& fault() const { return fault_; }

 private:
  bool enter() {
    if (++depth_ <= depth_limit_) return true;
    fault_ = "JSON is nested deeper than " + std::to_string(depth_limit_);
    return false;
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::string_view text_;
  std::size_t depth_limit_;
  std::size_t depth_ = 0;
  std::string fault_;
};

}  // namespace

Result<Json> read_json(std::string_view text, std::size_t depth_limit) {
  if (!is_utf8(text)) return fail("JSON is not valid UTF-8", ErrorCode::invalid);
  // The parser takes a NUL for the end and would not look at what comes after it.
  if (std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return fail(malformed_at(text, nul) + ": a NUL", ErrorCode::invalid);
  Checker checker(text, depth_limit);
  if (!Json::sax_parse(text, &checker)) return fail(checker.fault(), ErrorCode::invalid);
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace gitproc
