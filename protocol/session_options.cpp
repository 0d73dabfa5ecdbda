#include "protocol/session_options.hpp"

#include <array>
#include <chrono>

#include "protocol/time.hpp"

namespace fairlead::protocol {

std::string session_options_problem(const session_options& o) {
  using std::chrono::milliseconds;
  struct size {
    const char* name;
    std::size_t given, least, most;
  };
  constexpr std::size_t most_messages = std::size_t{1} << 20, most_bytes = std::size_t{1} << 32;
  for (const auto& s : std::array<size, 5>{{
           {"max_messages", o.max_messages, 1, most_messages},
           {"max_bytes", o.max_bytes, 1'024, most_bytes},
           {"max_sockets", o.max_sockets, 1, 1'024},
           {"max_restarts", o.max_restarts, 1, 1'000},
           {"max_inbox", o.max_inbox, 1, most_messages},
       }})
    if (s.given < s.least || s.given > s.most)
      return std::string{s.name} + ": " + std::to_string(s.given) + " is out of range; give " +
             std::to_string(s.least) + " to " + std::to_string(s.most);
  struct time {
    const char* name;
    milliseconds given;
  };
  for (const auto& t : std::array<time, 6>{{{"replay_window", o.replay_window},
                                            {"attach_timeout", o.attach_timeout},
                                            {"resume_window", o.resume_window},
                                            {"max_age", o.max_age},
                                            {"token_lifetime", o.token_lifetime},
                                            {"restart_period", o.restart_period}}})
    if (t.given < milliseconds{1} || t.given > longest_wait)
      return std::string{t.name} + ": " + std::to_string(t.given.count()) +
             " ms is out of range; give 1 ms to a year";
  return {};
}

}  // namespace fairlead::protocol
