# Fuzz targets. Each is built twice: fuzz_NAME_smoke with a driver of its own, which `make test` runs for a few thousand
# mutations, and, with RONDO_FUZZ, fuzz_NAME with libFuzzer, which scripts/fuzz.sh runs.

function(rondo_fuzz name runs folders)
  set(src ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz.c
    ${CMAKE_SOURCE_DIR}/tests/fuzz/mutate.c)
  add_executable(fuzz_${name}_smoke ${src} ${CMAKE_SOURCE_DIR}/tests/fuzz/driver.c)
  target_link_libraries(fuzz_${name}_smoke PRIVATE ${folders})
  add_test(NAME fuzz_${name} COMMAND fuzz_${name}_smoke 1 ${runs} ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  if(RONDO_FUZZ)
    if(NOT name MATCHES "^(files|data)$")
      list(APPEND src ${CMAKE_SOURCE_DIR}/tests/fuzz/custom.c)
    endif()
    add_executable(fuzz_${name} ${src})
    target_link_libraries(fuzz_${name} PRIVATE ${folders})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

rondo_fuzz(parse 3000 rondo_frontend tests/syntax tests/errors tests/conform std examples)
rondo_fuzz(check 3000 "rondo_frontend;rondo_passes" tests/errors tests/conform std examples tests/models)
rondo_fuzz(ir 6000 rondo_passes tests/fuzz/seeds)
rondo_fuzz(files 3000 rondo_runtime tests/fuzz/files examples)
rondo_fuzz(import 3000 rondo_import tests/fuzz/import tests/import)
add_dependencies(fuzz_import_smoke rondo_onnx)
rondo_fuzz(data 1500 rondo_runtime tests/fuzz/data)
