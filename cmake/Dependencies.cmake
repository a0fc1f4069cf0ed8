# Every library comes from the distribution's packages; ./dev installs them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(CURL REQUIRED)
pkg_check_modules(LIBGIT2 REQUIRED libgit2>=1.5)
find_library(LIBGIT2_FILE git2 HINTS ${LIBGIT2_LIBRARY_DIRS} REQUIRED)
find_library(CURL_FILE curl REQUIRED)
gitproc_lazy_library(libgit2 ${LIBGIT2_FILE} "${LIBGIT2_INCLUDE_DIRS}")
gitproc_lazy_library(libcurl ${CURL_FILE} "${CURL_INCLUDE_DIRS}")
pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib>=0.11)
pkg_check_modules(prometheus REQUIRED IMPORTED_TARGET prometheus-cpp-core)
pkg_check_modules(openssl REQUIRED IMPORTED_TARGET openssl>=3.0)

# Standalone Asio is headers only and ships no CMake package.
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)
add_library(asio INTERFACE)
target_include_directories(asio SYSTEM INTERFACE ${ASIO_INCLUDE_DIR})
# Asio asks libstdc++ whether it has aligned_alloc(), and hears so only behind another header of it: without the last one, what
# one source file allocates by that would be deleted by another with operator delete.
target_compile_definitions(asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_DISABLE_STD_ALIGNED_ALLOC)
target_link_libraries(asio INTERFACE Threads::Threads)

# Catch2: version 2 (Debian 12) or 3 (Debian 13); testing/catch.h hides the difference.
find_package(Catch2 REQUIRED)
include(Catch)
# A test whose name CTest cannot pass on (one with a semicolon, say) must not pass by not being found.
if(Catch2_VERSION VERSION_LESS 3)
  set(GITPROC_FAIL_UNLESS_FOUND EXTRA_ARGS --warn NoTests)
endif()
add_library(gitproc_testing STATIC ${CMAKE_SOURCE_DIR}/testing/main.cpp)
target_include_directories(gitproc_testing PUBLIC ${CMAKE_SOURCE_DIR})
if(TARGET Catch2::Catch2WithMain)
  target_link_libraries(gitproc_testing PUBLIC Catch2::Catch2WithMain)
else()
  target_link_libraries(gitproc_testing PUBLIC Catch2::Catch2)
endif()
