#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <fairlead/limits.hpp>

#include "protocol/time.hpp"
#include "protocol/token_bucket.hpp"

namespace fairlead::protocol {

/// What a link watches of its peer: whether it is still there, whether it sends more than it may, whether anybody has
/// anything to say. Pure: it is told what happens and when, and says what to do and when to look again. One timer, the
/// owner's, serves all of it; what comes in moves no timer.
class peer_watch {
 public:
  using duration = time_point::duration;

  enum class action : std::uint8_t {
    nothing,
    ping,  ///< it has been silent: send a ping, then `pinged`; or, if that cannot be done now, look again later
    give_up,  ///< it has not answered a ping: half-open
    idle,     ///< no message either way for too long
    read_on,  ///< its tokens are there again
    too_long,  ///< they are not, and it has sent more than it may for longer than may be: as `inflow::too_long`
  };
  struct look {
    action what;
    time_point next;  ///< when to look again at the latest
  };
  enum class inflow : std::uint8_t {
    fine,
    pause,    ///< read no more before `look_again`
    too_long  ///< the same, and it has been so for longer than may be
  };

  void begin(time_point now) noexcept { heard_ = quiet_since_ = now; }

  /// Bytes of the peer's came, whatever they are. The hot path: a few integer operations.
  [[nodiscard]] inflow heard(std::uint64_t bytes, std::uint32_t frames, const limits&,
                             time_point now) noexcept;
  /// While paused: when to look again. It may be too long, or it idle, before it is read on.
  [[nodiscard]] time_point look_again(const limits&, time_point now) const noexcept;
  /// A message came in or went out.
  void talked() noexcept { talked_ = true; }

  /// Its time has come. `spread`, any number, varies the next interval.
  [[nodiscard]] look at(const limits&, time_point now, std::uint32_t spread) noexcept;
  /// A ping was sent, and the peer is being read: it is heard as soon as it says anything. Returns when to look again.
  time_point pinged(const limits&, time_point now) noexcept;
  /// A ping is due, but cannot be sent or its answer not be waited for: others find out (TCP does, if bytes wait for the
  /// peer). Returns when to look again.
  [[nodiscard]] time_point put_off(const limits&, time_point now) const noexcept;

  [[nodiscard]] time_point last_heard() const noexcept { return heard_; }
  [[nodiscard]] bool paused() const noexcept { return state_ == state::paused; }
  [[nodiscard]] bool awaits_pong() const noexcept { return state_ == state::pinged; }
  /// From our last ping to the first that was heard after it.
  [[nodiscard]] std::optional<std::chrono::microseconds> round_trip() const noexcept {
    if (round_trip_us_ == unknown) return std::nullopt;
    return std::chrono::microseconds{round_trip_us_};
  }

 private:
  enum class state : std::uint8_t { listening, pinged, paused };
  static constexpr std::uint32_t unknown = UINT32_MAX;

  void answered(time_point now) noexcept;
  [[nodiscard]] bool eased_off(const limits&, time_point now) const noexcept;
  [[nodiscard]] time_point next_look(const limits&, std::uint32_t spread) const noexcept;

  time_point heard_{};
  time_point since_{};                         // pinged: when
  time_point free_at_{};                       // paused: until when; then when that was over
  time_point quiet_since_{};                   // no message from then to the last look
  time_point over_since_ = time_point::max();  // sends more than it may; max: it does not
  token_bucket bytes_, frames_;
  std::uint32_t round_trip_us_ = unknown;
  state state_ = state::listening;
  bool talked_ = false;  // since the last look
};

}  // namespace fairlead::protocol
