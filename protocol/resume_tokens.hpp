#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/time.hpp"

namespace fairlead::protocol {

/// The tokens with which clients may attach to one session. Each attach gets a new one; the one that was used stays good
/// until its successor is used, because a client may lose its socket before it has read it. A token that no socket holds
/// expires. Comparing takes as long for any token of a length.
///
/// Bounded: two for each socket that there may be, its own and the one before, and `spare` for clients that are to come. If
/// there are more, the oldest goes that no socket holds and that was not used just now.
class resume_tokens {
 public:
  static constexpr std::size_t spare = 16;
  resume_tokens(std::chrono::milliseconds lifetime, std::size_t sockets)
      : lifetime_(lifetime), most_(2 * sockets + spare) {}

  /// One more, that no socket holds.
  void issue(std::string token, time_point now);
  [[nodiscard]] bool good(std::string_view token, time_point now) const noexcept;
  /// What `rotate` said when it gave this one away; 0: it is not one of them.
  [[nodiscard]] std::uint32_t number_of(std::string_view token) const noexcept;
  /// A socket has attached with `used`, and was given `next`, which it holds from now on: by this number. What came before
  /// `used` is used up.
  std::uint32_t rotate(std::string_view used, std::string next, time_point now);
  /// The socket that held this one is gone: it begins to expire.
  void release(std::uint32_t held, time_point now);

 private:
  struct entry {
    std::string token;
    std::uint32_t number, before;  ///< `before`: the one that it is the successor of; 0: none
    time_point expires;            ///< max(): a socket holds it
  };
  void add(entry, time_point now);

  std::chrono::milliseconds lifetime_;
  std::size_t most_;
  std::vector<entry> entries_;  // oldest first
  std::uint32_t last_ = 0;
};

}  // namespace fairlead::protocol
