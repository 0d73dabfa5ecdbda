# What every target of this project is built with, unless whoever configures it said otherwise.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, RelWithDebInfo or Release" FORCE)
endif()

# A second build of the same sources, in any build directory, costs a copy.
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(FAIRLEAD_CCACHE ccache)
  mark_as_advanced(FAIRLEAD_CCACHE)
  if(FAIRLEAD_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${FAIRLEAD_CCACHE}")
  endif()
endif()

# Only our own targets link this; it is never part of what is installed.
add_library(fairlead_warnings INTERFACE)
target_compile_options(fairlead_warnings INTERFACE -Wall -Wextra -Wpedantic -Werror)
