#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <fairlead/send_options.hpp>

#include "protocol/time.hpp"

namespace fairlead::protocol {

/// What a message's sender asked for beyond the ordinary, as the queue sees it. Lives with the message's receipt; the
/// receipts of a broadcast share one. An ordinary message has none.
struct send_terms {
  time_point expires = time_point::max();
  std::optional<slow_policy> policy;  ///< nothing: the connection's
  std::string key;                    ///< not empty only with keep_latest
  std::uint16_t tag = 1;              ///< never 0; equal keys have equal tags
};
using terms_ptr = std::shared_ptr<const send_terms>;

/// Null if nothing was asked for. A time to live of more than a year is a year.
[[nodiscard]] terms_ptr make_terms(const send_options&, time_point now);
/// Whether these options ask for nothing: no time to live, no policy, no key.
[[nodiscard]] bool ordinary(const send_options&) noexcept;

}  // namespace fairlead::protocol
