# rondo_folder(NAME dependencies..): NAME/*.c as the static library rondo_NAME, linked with its dependencies.
# rondo_unit(NAME dependencies..): tests/unit/NAME.c as a program, run by CTest under that name from the source root.

# codegen/llvm_*.c, frontend/clang_*.c, runtime/zip_*.c and import/pb_*.c alone include llvm-c/, clang-c/, zip.h and protobuf-c/; they are shared objects
# opened at run time.
function(rondo_folder name)
  file(GLOB src CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.c)
  list(FILTER src EXCLUDE REGEX "/(codegen/llvm|frontend/clang|runtime/zip|import/pb)_[^/]*\\.c$")
  if(NOT src)
    file(WRITE ${CMAKE_BINARY_DIR}/empty_${name}.c "typedef int rondo_empty_${name};\n")
    set(src ${CMAKE_BINARY_DIR}/empty_${name}.c)
  endif()
  add_library(rondo_${name} STATIC ${src})
  target_link_libraries(rondo_${name} PUBLIC ${ARGN})
  set_property(GLOBAL APPEND PROPERTY RONDO_FOLDERS rondo_${name})
endfunction()

function(rondo_unit name)
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/tests/unit/${name}.c)
    message(WARNING "tests/unit/${name}.c is missing")
    return()
  endif()
  add_executable(${name} ${CMAKE_SOURCE_DIR}/tests/unit/${name}.c)
  target_link_libraries(${name} PRIVATE ${ARGN})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_property(TEST ${name} PROPERTY SKIP_RETURN_CODE 77)
endfunction()
