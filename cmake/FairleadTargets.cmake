include_guard()
include(GNUInstallDirs)

# fairlead_module(<name> SOURCES <file>... [DEPENDS <module>...] [SYSTEM_DEPENDS <target>...])
#
# One folder of the source tree: the static library `fairlead_<name>`, also called `fairlead::<name>`. DEPENDS names
# modules below this one, SYSTEM_DEPENDS imported targets; what is not named here is not linked. Modules are joined
# into one library by fairlead_library() and are themselves never installed.
function(fairlead_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;SYSTEM_DEPENDS")
  list(TRANSFORM arg_DEPENDS PREPEND "fairlead::")

  add_library(fairlead_${name} STATIC ${arg_SOURCES})
  add_library(fairlead::${name} ALIAS fairlead_${name})
  target_include_directories(fairlead_${name} PUBLIC "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include")
  target_link_libraries(fairlead_${name}
    PUBLIC ${arg_DEPENDS} ${arg_SYSTEM_DEPENDS}
    PRIVATE fairlead_warnings)
endfunction()

# fairlead_library(SOURCES <file>... MODULES <module>... [SYSTEM_DEPENDS <target>...])
#
# The library that is installed: `fairlead`, also called `fairlead::fairlead`. It holds its own sources and the objects
# of the modules, honours BUILD_SHARED_LIBS, and shows its users include/ alone. SYSTEM_DEPENDS are header-only targets:
# what has a library belongs in the list at the end, because fairleadConfig.cmake must find it again.
function(fairlead_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "SOURCES;MODULES;SYSTEM_DEPENDS")
  list(APPEND arg_MODULES boost_json boost_url)

  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/fairlead/*.hpp")
  add_library(fairlead ${arg_SOURCES})
  add_library(fairlead::fairlead ALIAS fairlead)
  set_target_properties(fairlead PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
  target_compile_features(fairlead PUBLIC cxx_std_20)
  target_sources(fairlead PUBLIC
    FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${headers})
  target_include_directories(fairlead PRIVATE "${PROJECT_SOURCE_DIR}")
  foreach(module IN LISTS arg_MODULES)
    target_sources(fairlead PRIVATE $<TARGET_OBJECTS:fairlead_${module}>)
    target_link_libraries(fairlead PRIVATE $<BUILD_INTERFACE:fairlead_${module}>)
  endforeach()
  foreach(target IN LISTS arg_SYSTEM_DEPENDS)
    target_link_libraries(fairlead PRIVATE $<BUILD_INTERFACE:${target}>)
  endforeach()
  # The same packages are looked for by fairleadConfig.cmake.
  target_link_libraries(fairlead
    PUBLIC CAF::core
    PRIVATE CAF::io CAF::openssl fmt::fmt spdlog::spdlog prometheus-cpp::core OpenSSL::SSL LibJWT::LibJWT
            ZLIB::ZLIB Threads::Threads
            $<BUILD_INTERFACE:fairlead_warnings>)
endfunction()

# fairlead_executable(<target> SOURCES <file>... [DEPENDS <target>...])
#
# A program of ours that is not a test: our warnings, includes from the root. Examples and benches use it as well.
function(fairlead_executable target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS")
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_DEPENDS} fairlead_warnings)
endfunction()

# fairlead_program(SOURCES <file>... [DEPENDS <target>...])
#
# The program: target `fairlead_program`, file `fairlead` at the root of the build directory. Being part of the
# composition root it may include every folder.
function(fairlead_program)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "SOURCES;DEPENDS")
  fairlead_executable(fairlead_program SOURCES ${arg_SOURCES}
    DEPENDS fairlead::fairlead fairlead::net fairlead::actors CLI11::CLI11 ${arg_DEPENDS})
  set_target_properties(fairlead_program PROPERTIES
    OUTPUT_NAME fairlead
    INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}"  # where a shared libfairlead is
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
endfunction()
