# What a user gets: lib/librondo.{a,so}, bin/rondo, include/rondo.h, share/rondo/std, and the files by which others find them.

get_property(folders GLOBAL PROPERTY RONDO_FOLDERS)
list(REMOVE_ITEM folders rondo_import) # the command's alone: rondo.h has nothing of it

# One library of all folders. What they need from the system is collected from their link interfaces.
set(objects)
set(system)
foreach(folder IN LISTS folders)
  list(APPEND objects $<TARGET_OBJECTS:${folder}>)
  get_target_property(needs ${folder} INTERFACE_LINK_LIBRARIES)
  foreach(need IN LISTS needs)
    if(need AND NOT need MATCHES "^rondo_" AND NOT need MATCHES "LINK_ONLY:rondo_")
      list(APPEND system ${need})
    endif()
  endforeach()
endforeach()
list(REMOVE_DUPLICATES system)
if(NOT objects)
  message(FATAL_ERROR "no folder is built")
endif()

foreach(kind STATIC SHARED)
  string(TOLOWER rondo_${kind} target)
  add_library(${target} ${kind} ${objects})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME rondo LINKER_LANGUAGE C VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR} EXPORT_NAME ${kind})
  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
target_link_libraries(rondo_static PUBLIC ${system})
target_link_libraries(rondo_shared PRIVATE ${system})

# The names to give a linker that takes librondo.a: imported targets stand for their libraries.
set(RONDO_PRIVATE_LIBS)
set(RONDO_FIND)
foreach(need IN LISTS system)
  if(need STREQUAL "Threads::Threads")
    list(APPEND RONDO_PRIVATE_LIBS -pthread)
    list(APPEND RONDO_FIND "find_dependency(Threads)")
  elseif(need MATCHES "^PkgConfig::(.*)$")
    list(APPEND RONDO_PRIVATE_LIBS ${${CMAKE_MATCH_1}_LDFLAGS})
    list(APPEND RONDO_FIND "find_dependency(PkgConfig)\npkg_check_modules(${CMAKE_MATCH_1} REQUIRED IMPORTED_TARGET ${${CMAKE_MATCH_1}_MODULE_NAME})")
  elseif(NOT need MATCHES "^\\$<")
    list(APPEND RONDO_PRIVATE_LIBS -l${need})
  endif()
endforeach()
string(REPLACE ";" " " RONDO_PRIVATE_LIBS "${RONDO_PRIVATE_LIBS}")
string(REPLACE ";" "\n" RONDO_FIND "${RONDO_FIND}")

if(TARGET rondo_runtime)
  file(GLOB cli CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cli/*.c)
  add_executable(rondo ${cli})
  target_link_libraries(rondo PRIVATE rondo_import)
  set_target_properties(rondo PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  install(TARGETS rondo RUNTIME)
endif()

install(TARGETS rondo_static rondo_shared EXPORT rondo ARCHIVE LIBRARY)
if(EXISTS ${CMAKE_SOURCE_DIR}/runtime/rondo.h)
  install(FILES runtime/rondo.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()
install(DIRECTORY std/ DESTINATION ${CMAKE_INSTALL_DATADIR}/rondo/std FILES_MATCHING PATTERN "*.rondo")
install(FILES man/rondo.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

include(CMakePackageConfigHelpers)
file(RELATIVE_PATH RONDO_PREFIX_FROM_PC /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
configure_file(cmake/rondo.pc.in rondo.pc @ONLY)
configure_package_config_file(cmake/rondo-config.cmake.in rondo-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rondo)
write_basic_package_version_file(rondo-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/rondo.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_BINARY_DIR}/rondo-config.cmake ${CMAKE_BINARY_DIR}/rondo-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rondo)
install(EXPORT rondo NAMESPACE rondo:: FILE rondo-targets.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rondo)
