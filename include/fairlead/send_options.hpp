#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fairlead {

/// What happens when a message finds no room in its connection's queue, because the client reads more slowly than it is
/// sent to. The queue and its limits are `limits::max_queued_messages` and `max_queued_bytes`.
enum class slow_policy : std::uint8_t {
  disconnect,  ///< the message is refused and the connection closed with 3008, behind what is queued
  drop_newest,  ///< the message is refused
  drop_oldest,  ///< the oldest that are queued and not begun are refused, to make room for it
  keep_latest,  ///< as `drop_oldest`; and it replaces what is queued under its own key, room or not
};

/// `"drop_oldest"`, as in configuration and JSON.
[[nodiscard]] std::string_view to_string(slow_policy) noexcept;
[[nodiscard]] std::optional<slow_policy> parse_slow_policy(std::string_view) noexcept;

/// How one message is to be sent, where that is not the ordinary way. Nothing set costs nothing.
struct send_options {
  /// Its time to live, from this call on. What is still queued after it, and of which nothing has been written, is not
  /// written and reported `expired` then, at most 20 ms late. Zero or less: expired at once.
  std::optional<std::chrono::milliseconds> ttl = {};
  /// Instead of `limits::slow_consumers`.
  std::optional<slow_policy> policy = {};
  /// With `keep_latest`, which it implies where `policy` is not set: a newer message of the same key replaces the queued
  /// one that has not begun, which is refused with `overflow`. The newer one is queued behind the others: order is kept.
  std::string key = {};
  /// To many: the summary lists the first so many connections that refused it (broadcast_summary::refused_ids).
  std::size_t refused_ids = 0;
};

}  // namespace fairlead
