#include "drivers/process/namespace_image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string_view>

#include "drivers/base/system_call.h"

asm(".pushsection .rodata\n"
    "gitproc_namespace_image: .incbin \"" GITPROC_NAMESPACE_INIT
    "\"\n"
    "gitproc_namespace_image_end:\n"
    ".popsection\n");

extern "C" {
[[gnu::visibility("hidden")]] extern const char gitproc_namespace_image[];
[[gnu::visibility("hidden")]] extern const char gitproc_namespace_image_end[];
}

namespace gitproc {

Result<UniqueFd> open_namespace_image() {
  // Asked for by kernels where memory is not executable unless it is said to be; unknown to those before 6.3.
  static constexpr unsigned is_executable = 0x10;
  static constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd image(::memfd_create("gitproc-init", flags | is_executable));
  if (!image && errno == EINVAL) image.reset(::memfd_create("gitproc-init", flags));
  if (!image) return fail_with_errno("cannot make the init of PID namespaces");
  std::string_view bytes(gitproc_namespace_image,
                         static_cast<std::size_t>(gitproc_namespace_image_end - gitproc_namespace_image));
  if (int error_number = write_all(image.get(), bytes); error_number != 0)
    return fail_with_errno("cannot make the init of PID namespaces", error_number);
  if (::fcntl(image.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return fail_with_errno("cannot make the init of PID namespaces");
  return image;
}

}  // namespace gitproc
