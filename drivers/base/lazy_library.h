// A shared library that is loaded when it is needed first: what no command or service uses costs neither start-up
// time nor memory. Its functions are linked as jumps through a table that load() fills (cmake/LazyLibrary.cmake);
// whoever calls one of them must have seen load() succeed.
#pragma once

#include <mutex>
#include <span>

#include "reconcile/base/error.h"

namespace gitproc {

class LazyLibrary {
 public:
  // A library that is linked as usual: there is nothing to load.
  explicit constexpr LazyLibrary(const char* file) : file_(file), is_loaded_(true) {}
  // `table` gets the address of the function in `names` at the same place.
  LazyLibrary(const char* file, std::span<const char* const> names, std::span<void*> table);

  // dlopen(3), the first time; any thread may call it. It stays loaded. Errors: unavailable: the file is not there or
  // is another version, which lacks a function.
  Result<void> load();

 private:
  const char* file_;
  std::span<const char* const> names_;
  std::span<void*> table_;
  std::mutex mutex_;
  bool is_loaded_ = false;
};

extern LazyLibrary libgit2;
extern LazyLibrary libcurl;

}  // namespace gitproc
