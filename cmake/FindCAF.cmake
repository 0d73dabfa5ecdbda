# FindCAF: the C++ Actor Framework, as `find_package(CAF [version] [COMPONENTS core io openssl])`.
#
# CAF 0.18 and later install a package of their own, which is used where there is one. CAF 0.17, as in Debian 12,
# installs none: its headers and libraries are looked for here. Both give the same targets, `CAF::<component>`.
#
# Sets CAF_FOUND, CAF_VERSION and CAF_<component>_FOUND. CAF_ROOT is searched first, as for any package.

if(NOT CAF_FIND_COMPONENTS)
  set(CAF_FIND_COMPONENTS core)
endif()

find_package(CAF ${CAF_FIND_VERSION} QUIET CONFIG COMPONENTS ${CAF_FIND_COMPONENTS})
if(CAF_FOUND AND TARGET CAF::core)
  include(FindPackageHandleStandardArgs)
  find_package_handle_standard_args(CAF CONFIG_MODE)
  return()
endif()

find_path(CAF_INCLUDE_DIR caf/config.hpp)
mark_as_advanced(CAF_INCLUDE_DIR)

# caf/config.hpp holds one number, {major}{minor}{patch}, two digits each: 1706 is 0.17.6.
unset(CAF_VERSION)
if(CAF_INCLUDE_DIR)
  file(STRINGS "${CAF_INCLUDE_DIR}/caf/config.hpp" _caf_version REGEX "^#define CAF_VERSION [0-9]+")
  if(_caf_version MATCHES "([0-9]+)$")
    math(EXPR _caf_major "${CMAKE_MATCH_1} / 10000")
    math(EXPR _caf_minor "${CMAKE_MATCH_1} / 100 % 100")
    math(EXPR _caf_patch "${CMAKE_MATCH_1} % 100")
    set(CAF_VERSION "${_caf_major}.${_caf_minor}.${_caf_patch}")
  endif()
endif()

# core is below the others, so it is always looked for.
foreach(_caf_part IN ITEMS core ${CAF_FIND_COMPONENTS})
  find_library(CAF_${_caf_part}_LIBRARY caf_${_caf_part})
  mark_as_advanced(CAF_${_caf_part}_LIBRARY)
  if(_caf_part STREQUAL "core")
    set(_caf_header "caf/all.hpp")
  else()
    set(_caf_header "caf/${_caf_part}/all.hpp")
  endif()
  if(CAF_${_caf_part}_LIBRARY AND EXISTS "${CAF_INCLUDE_DIR}/${_caf_header}")
    set(CAF_${_caf_part}_FOUND TRUE)
  else()
    set(CAF_${_caf_part}_FOUND FALSE)
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF
  REQUIRED_VARS CAF_core_LIBRARY CAF_INCLUDE_DIR
  VERSION_VAR CAF_VERSION
  HANDLE_COMPONENTS)

if(CAF_FOUND)
  find_package(Threads QUIET)
  foreach(_caf_part IN ITEMS core ${CAF_FIND_COMPONENTS})
    if(CAF_${_caf_part}_FOUND AND NOT TARGET CAF::${_caf_part})
      add_library(CAF::${_caf_part} UNKNOWN IMPORTED)
      set_target_properties(CAF::${_caf_part} PROPERTIES
        IMPORTED_LOCATION "${CAF_${_caf_part}_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}"
        INTERFACE_COMPILE_FEATURES cxx_std_17)
    endif()
  endforeach()
  target_link_libraries(CAF::core INTERFACE Threads::Threads)
  foreach(_caf_part IN ITEMS io openssl)
    if(TARGET CAF::${_caf_part})
      target_link_libraries(CAF::${_caf_part} INTERFACE CAF::core)
    endif()
  endforeach()
  if(TARGET CAF::openssl AND TARGET CAF::io)
    target_link_libraries(CAF::openssl INTERFACE CAF::io)
  endif()
endif()

unset(_caf_version)
unset(_caf_part)
unset(_caf_header)
