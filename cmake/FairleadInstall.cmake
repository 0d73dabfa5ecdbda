# `cmake --install`: the program, the library, its public headers, and what find_package(fairlead) needs.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/fairlead")

install(TARGETS fairlead EXPORT fairlead FILE_SET HEADERS)
install(TARGETS fairlead_program)
install(EXPORT fairlead NAMESPACE fairlead:: FILE fairleadTargets.cmake DESTINATION "${package_dir}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/fairleadConfig.cmake.in" "${PROJECT_BINARY_DIR}/cmake/fairleadConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/cmake/fairleadConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/cmake/fairleadConfig.cmake"
  "${PROJECT_BINARY_DIR}/cmake/fairleadConfigVersion.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindCAF.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindLibJWT.cmake"
  DESTINATION "${package_dir}")
