#include "agent/http_image.h"

// Read-only data that nobody touches is never in memory: the image costs disk and address space.
asm(R"(
  .pushsection .rodata
  .balign 4096
gitproc_http_image_begin:
  .incbin ")" GITPROC_HTTP_MODULE R"("
gitproc_http_image_end:
  .popsection
)");

extern "C" {
// Hidden: their addresses are constants of this program.
extern const char gitproc_http_image_begin[] __attribute__((visibility("hidden")));
extern const char gitproc_http_image_end[] __attribute__((visibility("hidden")));
}

namespace gitproc {

std::string_view http_module_image() {
  return {gitproc_http_image_begin,
          static_cast<std::size_t>(gitproc_http_image_end - gitproc_http_image_begin)};
}

}  // namespace gitproc
