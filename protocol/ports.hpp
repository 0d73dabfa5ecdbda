#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <fairlead/close.hpp>
#include <fairlead/message.hpp>

#include "protocol/chunk.hpp"
#include "protocol/timer_wheel.hpp"

/// Where net and actors meet without seeing each other.
namespace fairlead::protocol {

/// One thread that runs tasks in order. Sockets, actors and timers of one loop share it.
class event_loop {
 public:
  using task = std::function<void()>;
  virtual ~event_loop() = default;

  /// Runs `t` on the loop's thread, after what is already posted. Any thread, at any time in this object's life.
  /// False, and `t` is destroyed unrun, once the loop has stopped for good.
  virtual bool post(task t) = 0;
  /// Whether the caller is on the loop's thread.
  [[nodiscard]] virtual bool inside() const noexcept = 0;
  /// The loop's time, read once per turn; exact to about the length of one turn. Loop's thread only.
  [[nodiscard]] virtual time_point now() const noexcept = 0;
  /// The same clock, read now. Any thread.
  [[nodiscard]] virtual time_point read_clock() const noexcept = 0;
  /// Runs the timer's task at `when` or up to 20 ms later; replaces an earlier schedule of it. Loop's thread only.
  virtual void schedule(timer_base&, time_point when) = 0;
};

/// How it stands with the peer, for who looks into a connection.
struct peer_view {
  time_point last_heard{};  ///< when bytes of its last came; the epoch: never
  bool awaits_pong = false;
  bool throttled = false;  ///< not read for now, because it sent more than it may
  std::optional<std::chrono::microseconds> round_trip = {};  ///< of the last ping
};

/// What an actor may ask of a socket. Loop's thread only. None of these calls back into the observer before it returns,
/// but receipts are settled at once. After `abort`, or once on_closed or on_failed was reported, all do nothing.
class link {
 public:
  virtual ~link() = default;
  /// Answers the upgrade request (RFC 6455 4.2.2) and reports to `observer` from now on: on_upgraded or on_failed.
  /// The observer is destroyed after its last report, or when the link is.
  virtual void open(std::unique_ptr<class link_observer> observer) = 0;
  /// Starts, and after a pause goes on, reading messages.
  virtual void resume_reading() = 0;
  /// Stops after the message being read: back-pressure by not reading.
  virtual void pause_reading() = 0;
  /// Queues whole frames; nothing is sent before `flush`. Returns how many bytes were queued: fewer than there are in the
  /// chunk if they were compressed, none if the wire is sealed: then the chunk was not moved from and its receipt not
  /// settled. A queued chunk's receipt settles `written`, or `failed` if the link ends first.
  [[nodiscard]] virtual std::size_t write(chunk&&) = 0;
  /// Queues a Close frame behind what is queued and seals the wire. Does nothing if it is sealed already.
  virtual void send_close(close_code, std::string_view reason) = 0;
  /// Writes what is queued in one gathered call, without blocking, and returns what was written by it. What the kernel
  /// does not take now is written when it can be and reported by on_progress.
  virtual progress flush() = 0;
  /// What is queued and has not begun, taken back: as the functions of `wire` of these names.
  virtual progress drop_oldest(const progress& least) = 0;
  virtual progress drop_key(const send_terms&) = 0;
  virtual progress drop_expired(time_point now, time_point& next) = 0;
  /// Drops the socket at once. No further report.
  virtual void abort() = 0;
  /// Bytes queued on the wire and not taken by the kernel.
  [[nodiscard]] virtual std::size_t queued_bytes() const noexcept = 0;
  /// These, and what the kernel has taken and the peer has not acknowledged. Once the wire is sealed it becomes less only by
  /// what the peer takes.
  [[nodiscard]] virtual std::size_t undelivered_bytes() const noexcept = 0;
  /// Whether nothing more can be queued: a Close frame, ours or the transport's answer to the peer's, was; or it broke.
  [[nodiscard]] virtual bool sealed() const noexcept = 0;
  [[nodiscard]] virtual peer_view peer() const noexcept = 0;
  /// "TLSv1.3", in static storage; empty without TLS.
  [[nodiscard]] virtual std::string_view tls() const noexcept { return {}; }
  /// Whether messages are compressed where that makes them smaller (RFC 7692).
  [[nodiscard]] virtual bool compresses() const noexcept { return false; }
  /// Whether `write` refuses because the socket broke, of which on_failed tells, and not because of a Close frame.
  [[nodiscard]] virtual bool broken() const noexcept = 0;
};

/// What a socket reports. On the loop's thread, never from inside a call to the link.
class link_observer {
 public:
  virtual ~link_observer() = default;
  virtual void on_upgraded() = 0;
  virtual void on_message(message) = 0;
  virtual void on_progress(progress) = 0;
  /// The peer's Close was read (`no_status` if it had no code). The wire is sealed: by our Close, or by an answer to this one.
  virtual void on_peer_close(close_code, std::string reason) = 0;
  /// The peer broke the protocol; a Close with this code was queued and the wire is sealed.
  virtual void on_violation(close_code, std::string what) = 0;
  /// It has passed a limit, and is to be closed with this code and reason by whoever owns the link.
  virtual void on_limit(close_code, std::string reason) = 0;
  /// Last report: both Close frames (after a violation: ours) are out and in. The socket lingers and closes by itself.
  virtual void on_closed() = 0;
  /// Last report: reset, end of file without a Close, time-out, failed handshake.
  virtual void on_failed(std::error_code, std::string what) = 0;
};

}  // namespace fairlead::protocol
