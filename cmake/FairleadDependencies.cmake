# Everything Fairlead is built on, found once. All of it is in Debian 12; see the package list in `dev`.

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED CONFIG)
find_package(CAF 0.17.6 REQUIRED COMPONENTS core io openssl)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(prometheus-cpp REQUIRED CONFIG)
find_package(ZLIB REQUIRED)
find_package(LibJWT REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
if(FAIRLEAD_TESTS)
  find_package(doctest REQUIRED)
  # The system's own python3, whatever comes first on PATH: it is the one that sees python3-websockets.
  find_program(FAIRLEAD_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
  find_program(FAIRLEAD_PYTHON python3 REQUIRED)
endif()
if(FAIRLEAD_BENCH)
  find_package(benchmark REQUIRED)
endif()

# Asio and Beast, their bodies compiled once: one source in net/ includes asio/impl/src.hpp and beast/src.hpp.
# Every file that sees their headers must see the same definitions, hence a target.
add_library(fairlead_asio INTERFACE)
add_library(fairlead::asio ALIAS fairlead_asio)
target_link_libraries(fairlead_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(fairlead_asio INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_ASIO_NO_DEPRECATED
  BOOST_BEAST_SEPARATE_COMPILATION)
# GCC cannot see std::atomic_thread_fence under -fsanitize=thread and says so in every file that includes Asio.
# Asio uses it only in fenced blocks around handlers, next to a mutex that tsan does see.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(fairlead_asio INTERFACE -Wno-tsan)
endif()

# Boost.JSON and Boost.URL from the same headers package, compiled once here: the newcomer installs one Boost package
# and an embedder links no Boost library.
foreach(part IN ITEMS json url)
  add_library(fairlead_boost_${part} STATIC "${PROJECT_SOURCE_DIR}/cmake/boost/${part}.cpp")
  add_library(fairlead::boost_${part} ALIAS fairlead_boost_${part})
  target_link_libraries(fairlead_boost_${part} PUBLIC Boost::headers)
  target_compile_definitions(fairlead_boost_${part} PUBLIC BOOST_JSON_NO_LIB BOOST_URL_NO_LIB)
endforeach()
