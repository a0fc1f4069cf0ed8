#include "drivers/base/lazy_library.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace gitproc {
namespace {

// A mistake of ours, which would otherwise be a jump to address 0.
[[noreturn]] void not_loaded() {
  std::fputs("gitproc: a library was used before it was loaded\n", stderr);
  std::abort();
}

}  // namespace

LazyLibrary::LazyLibrary(const char* file, std::span<const char* const> names, std::span<void*> table)
    : file_(file), names_(names), table_(table) {
  for (void*& entry : table_)
    entry = reinterpret_cast<void*>(&not_loaded);
}

Result<void> LazyLibrary::load() {
  std::scoped_lock lock(mutex_);
  if (is_loaded_) return {};
  // Bound as it is used: most of its functions never are.
  void* library = ::dlopen(file_, RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) return fail("cannot load " + std::string(::dlerror()), ErrorCode::unavailable);
  for (std::size_t i = 0; i < names_.size(); ++i) {
    void* function = ::dlsym(library, names_[i]);
    if (function == nullptr) {
      return fail("cannot load " + std::string(file_) + ": it has no '" + names_[i] + "'",
                  ErrorCode::unavailable);
    }
    table_[i] = function;
  }
  is_loaded_ = true;
  return {};
}

}  // namespace gitproc
