// One include for tests under Catch2 2 (Debian 12) and 3 (Debian 13, Ubuntu 24.04), and the project's way
// to skip: print the reason and return; CTest counts the case as skipped, and ./dev test lists the reasons.
#pragma once

#include <iostream>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#define GITPROC_SKIP(reason)                           \
  do {                                                 \
    std::cout << "SKIPPED: " << (reason) << std::endl; \
    SUCCEED("skipped");                                \
    return;                                            \
  } while (false)
