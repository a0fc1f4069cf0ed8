// The HTTP module's file (agent/http/module.h), as it was built with the program.
#pragma once

#include <string_view>

namespace gitproc {

std::string_view http_module_image();

}  // namespace gitproc
