# Every library comes from the distribution's packages; ./dev installs them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(CURL REQUIRED)
pkg_check_modules(libgit2 REQUIRED IMPORTED_TARGET libgit2>=1.5)

# Standalone Asio is headers only and ships no CMake package.
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)
add_library(asio INTERFACE)
target_include_directories(asio SYSTEM INTERFACE ${ASIO_INCLUDE_DIR})
target_compile_definitions(asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED)
target_link_libraries(asio INTERFACE Threads::Threads)

# Catch2: version 2 (Debian 12) or 3 (Debian 13); testing/catch.h hides the difference.
find_package(Catch2 REQUIRED)
include(Catch)
add_library(gitproc_testing STATIC ${CMAKE_SOURCE_DIR}/testing/main.cpp)
target_include_directories(gitproc_testing PUBLIC ${CMAKE_SOURCE_DIR})
if(TARGET Catch2::Catch2WithMain)
  target_link_libraries(gitproc_testing PUBLIC Catch2::Catch2WithMain)
else()
  target_link_libraries(gitproc_testing PUBLIC Catch2::Catch2)
endif()
