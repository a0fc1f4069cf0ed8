# Compiler settings shared by everything that is built here.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(gitproc_warnings INTERFACE)
target_compile_options(gitproc_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
  -Wno-missing-field-initializers) # designated initialisers name only what differs from the default
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(gitproc_warnings INTERFACE -Wno-restrict) # false alarms of g++ 12 (bug 105651)
endif()
option(GITPROC_WERROR "Treat warnings as errors" OFF)
if(GITPROC_WERROR)
  target_compile_options(gitproc_warnings INTERFACE -Werror)
endif()

set(GITPROC_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
if(GITPROC_SANITIZE)
  add_compile_options(-fsanitize=${GITPROC_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${GITPROC_SANITIZE})
endif()
