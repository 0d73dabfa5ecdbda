#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <sys/types.h>

namespace fairlead::bench {

/// Where the server under test is. Always on the loopback interface.
struct target_options {
  std::uint16_t port = 0;
  std::string path = "/ws";
  pid_t pid = 0;                     ///< the process whose CPU time and memory are accounted
  std::chrono::seconds timeout{60};  ///< for the whole run, from the first connection to the report
  std::size_t batch = 64;  ///< connections being opened at the same moment; bounds the accept queue
};

/// For how long a scenario runs. The measured window starts when the warm-up has drained and ends when it has too.
struct window_options {
  double warmup = 0.5;
  double seconds = 2;
  std::uint64_t rounds = 0;  ///< also stop after so many messages; 0: no such limit
};

struct broadcast_options {
  std::size_t connections = 1000;
  std::size_t payload = 64;
  std::size_t in_flight = 1;
  std::size_t senders = 0;  ///< 0: as many as in flight
  std::size_t silent_readers = 0;
  std::size_t fill =
      0;  ///< bytes to each before the warm-up, twice: first in large messages; 0: none
  window_options window;
};

struct echo_options {
  std::size_t connections = 200;
  std::size_t payload = 64;
  window_options window;
};

struct idle_options {
  std::size_t connections = 10'000;
};

/// A run that could not be completed. The message names what happened and where.
struct load_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace fairlead::bench
