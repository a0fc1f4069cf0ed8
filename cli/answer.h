// Reading an answer's data without trusting its shape: a field that is absent or of another type is empty, so
// that an agent of another version costs a blank and never an exception.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/protocol/json.h"
#include "reconcile/base/time.h"

namespace gitproc {

// The field, or null.
const Json& field(const Json& object, const char* key);

std::string text_of(const Json& object, const char* key);
bool flag_of(const Json& object, const char* key);
std::optional<std::int64_t> integer_of(const Json& object, const char* key);
std::optional<double> number_of(const Json& object, const char* key);
std::optional<WallTime> time_of(const Json& object, const char* key);
// The items of an array; none where it is no array.
std::vector<Json> items_of(const Json& object, const char* key);

}  // namespace gitproc
