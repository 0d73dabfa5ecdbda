#include "protocol/peer_watch.hpp"

#include <algorithm>

namespace fairlead::protocol {
namespace {

using duration = peer_watch::duration;

token_rate frame_rate(const limits& l) noexcept {
  return {l.max_inbound_messages_per_second, l.inbound_burst};
}
token_rate byte_rate(const limits& l) noexcept {
  return {l.max_inbound_bytes_per_second, l.inbound_burst};
}

/// Pings come after 90 to 100 % of the interval, so that connections that began together do not ping together.
constexpr duration shortest(duration interval) noexcept { return interval - interval / 10; }
constexpr duration jittered(duration interval, std::uint32_t spread) noexcept {
  constexpr std::uint32_t steps = 1024;
  return shortest(interval) + interval / 10 * (spread % steps) / steps;
}

}  // namespace

peer_watch::inflow peer_watch::heard(std::uint64_t bytes, std::uint32_t frames, const limits& l,
                                     time_point now) noexcept {
  heard_ = now;
  if (state_ == state::pinged) answered(now);
  if (eased_off(l, now)) over_since_ = time_point::max();  // however much this brings
  const auto owed =
      std::max(bytes_.take(bytes, byte_rate(l), now), frames_.take(frames, frame_rate(l), now));
  if (owed == duration::zero()) return inflow::fine;
  over_since_ = std::min(over_since_, now);
  state_ = state::paused;
  free_at_ = now + owed;
  return now - over_since_ >= l.inbound_patience ? inflow::too_long : inflow::pause;
}

/// It was not paused for so long as half of its burst takes to come back, whatever it sent. Not less than what a late timer
/// gives to somebody who never pauses by himself.
bool peer_watch::eased_off(const limits& l, time_point now) const noexcept {
  return now - free_at_ >= std::max<duration>(l.inbound_burst / 2, std::chrono::milliseconds{500});
}

time_point peer_watch::look_again(const limits& l, time_point now) const noexcept {
  const auto next = std::min(free_at_, quiet_since_ + l.idle_timeout);
  const bool told = over_since_ == time_point::max() || now - over_since_ >= l.inbound_patience;
  return told ? next : std::min(next, over_since_ + l.inbound_patience);
}

void peer_watch::answered(time_point now) noexcept {
  state_ = state::listening;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - since_).count();
  round_trip_us_ = static_cast<std::uint32_t>(std::clamp<std::int64_t>(took, 0, unknown - 1));
}

peer_watch::look peer_watch::at(const limits& l, time_point now, std::uint32_t spread) noexcept {
  if (talked_) quiet_since_ = now;
  talked_ = false;
  if (now - quiet_since_ >= l.idle_timeout) return {action::idle, time_point::max()};

  switch (state_) {
  case state::paused:
    if (now < free_at_) {
      const bool too_long = now - over_since_ >= l.inbound_patience;
      return {too_long ? action::too_long : action::nothing, look_again(l, now)};
    }
    state_ = state::listening;
    return {action::read_on, next_look(l, spread)};
  case state::pinged:
    if (now < since_ + l.pong_timeout) return {action::nothing, next_look(l, spread)};
    return {action::give_up, time_point::max()};
  case state::listening: break;
  }
  if (now - heard_ >= shortest(l.ping_interval)) return {action::ping, put_off(l, now)};
  return {action::nothing, next_look(l, spread)};
}

time_point peer_watch::pinged(const limits& l, time_point now) noexcept {
  state_ = state::pinged;
  since_ = now;
  return next_look(l, 0);
}

time_point peer_watch::put_off(const limits& l, time_point now) const noexcept {
  return std::min(now + l.pong_timeout, quiet_since_ + l.idle_timeout);
}

time_point peer_watch::next_look(const limits& l, std::uint32_t spread) const noexcept {
  const auto silent = state_ == state::pinged ? since_ + l.pong_timeout
                                              : heard_ + jittered(l.ping_interval, spread);
  return std::min(silent, quiet_since_ + l.idle_timeout);
}

}  // namespace fairlead::protocol
