#include "cli/answer.h"

#include <nlohmann/json.hpp>

#include "reconcile/base/civil.h"

namespace gitproc {

const Json& field(const Json& object, const char* key) {
  static const Json nothing;
  if (!object.is_object()) return nothing;
  auto found = object.find(key);
  return found == object.end() ? nothing : *found;
}

std::string text_of(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool flag_of(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::optional<std::int64_t> integer_of(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_number_integer() ? std::optional(value.get<std::int64_t>()) : std::nullopt;
}

std::optional<double> number_of(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

std::optional<WallTime> time_of(const Json& object, const char* key) {
  return parse_rfc3339(text_of(object, key));
}

std::vector<Json> items_of(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_array() ? value.get<std::vector<Json>>() : std::vector<Json>();
}

}  // namespace gitproc
