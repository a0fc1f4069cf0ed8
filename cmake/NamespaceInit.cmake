# The init of PID namespaces: a static program of a few hundred bytes without libc, whose file becomes part of
# drivers/process (namespace_image.cpp).
add_executable(namespace_init drivers/process/init/namespace_init.c)
target_include_directories(namespace_init PRIVATE ${CMAKE_SOURCE_DIR})
set_target_properties(namespace_init PROPERTIES POSITION_INDEPENDENT_CODE OFF C_STANDARD 11)
target_compile_options(namespace_init PRIVATE -Os -Wall -Wextra -ffreestanding -fno-builtin -fno-stack-protector
  -fno-pic -fno-asynchronous-unwind-tables -fno-sanitize=all -U_FORTIFY_SOURCE)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  target_compile_options(namespace_init PRIVATE -fcf-protection=none)
endif()
target_link_options(namespace_init PRIVATE -static -no-pie -nostdlib -fno-sanitize=all -s -Wl,--build-id=none
  -Wl,-z,noseparate-code -Wl,-z,noexecstack)

# To be called when the room drivers_process is there.
function(gitproc_embed_namespace_init)
  set(source ${CMAKE_SOURCE_DIR}/drivers/process/namespace_image.cpp)
  set_source_files_properties(${source} PROPERTIES
    COMPILE_DEFINITIONS "GITPROC_NAMESPACE_INIT=\"$<TARGET_FILE:namespace_init>\""
    OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/namespace_init)
  add_dependencies(drivers_process namespace_init)
endfunction()
