# Tests that are shell scripts. Each gets: RONDO the command, SRC the source root, BUILD the build folder, TMP a fresh folder.
# tests/cli/*.sh and the tests of the tree itself; a script that exits 77 is counted as skipped.

function(rondo_script name file)
  add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/run.sh ${file})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
    ENVIRONMENT "RONDO=${CMAKE_BINARY_DIR}/bin/rondo;SRC=${CMAKE_SOURCE_DIR};BUILD=${CMAKE_BINARY_DIR};CC=${CMAKE_C_COMPILER}")
endfunction()

file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/cli/*.sh ${CMAKE_SOURCE_DIR}/tests/tree/*.sh)
foreach(script IN LISTS scripts)
  get_filename_component(name ${script} NAME_WE)
  get_filename_component(folder ${script} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  rondo_script(${folder}_${name} ${script})
endforeach()
set_tests_properties(cli_sharing PROPERTIES RUN_SERIAL TRUE) # it holds what processes cost that share the cores with one another alone
rondo_script(install ${CMAKE_SOURCE_DIR}/tests/install/install.sh)
rondo_script(readme ${CMAKE_SOURCE_DIR}/tests/readme.sh)
rondo_script(hacking ${CMAKE_SOURCE_DIR}/tests/hacking.sh)
rondo_script(deploy ${CMAKE_SOURCE_DIR}/tests/deploy.sh)
