#include "agent/protocol/json.h"

#include <nlohmann/json.hpp>

#include "drivers/base/json_reader.h"

namespace gitproc {

Result<Json> parse_json(std::string_view text) { return read_json(text, max_json_depth); }

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
