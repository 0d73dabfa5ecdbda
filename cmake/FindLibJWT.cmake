# FindLibJWT: libjwt 1.x, the JWT C library, as `find_package(LibJWT)`. Gives the target `LibJWT::LibJWT`.
#
# libjwt 1.10, as in Debian 12, installs no CMake package, and no version in its header. LibJWT_ROOT is searched first.

find_path(LibJWT_INCLUDE_DIR jwt.h)
find_library(LibJWT_LIBRARY jwt)
mark_as_advanced(LibJWT_INCLUDE_DIR LibJWT_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibJWT REQUIRED_VARS LibJWT_LIBRARY LibJWT_INCLUDE_DIR)

if(LibJWT_FOUND AND NOT TARGET LibJWT::LibJWT)
  add_library(LibJWT::LibJWT UNKNOWN IMPORTED)
  set_target_properties(LibJWT::LibJWT PROPERTIES
    IMPORTED_LOCATION "${LibJWT_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${LibJWT_INCLUDE_DIR}")
endif()
