#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <fairlead/close.hpp>

#include "protocol/chunk.hpp"
#include "protocol/chunk_queue.hpp"
#include "protocol/ports.hpp"

namespace fairlead::protocol {

/// The outgoing queue of one socket and the second gate: it holds whole frames in order and seals at the first Close
/// frame that enters it, whoever wrote it. Nothing enters a sealed wire. Pure: no socket, no clock.
///
/// Small and without heap while empty: there is one per connection, and most connections have nothing to say.
///
/// Receipts are settled last, when the wire's own work is done: a receipt may push to this wire or destroy it.
class wire {
 public:
  wire() = default;
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;
  ~wire();  ///< abandons

  /// Queues data frames, behind the 101 response. False if sealed: not taken, receipt untouched.
  [[nodiscard]] bool push(const chunk&);
  [[nodiscard]] bool push(chunk&&);  ///< the same; moved from only if it was taken
  /// Queues bytes of the transport's own: before the upgrade an HTTP response, after it one whole control frame. A Close
  /// frame seals; what comes to a sealed wire (a second Close, a late pong) is dropped. Copies.
  void push_raw(std::string_view bytes);
  /// After this, raw bytes are control frames. Before it they are HTTP, never seal, and pass a Close that waits.
  void handshake_done();
  /// Queues a Close frame (RFC 6455 5.5.1) and seals; nothing if sealed. `no_status` gives an empty body. Before
  /// `handshake_done` it seals against data at once, but the frame itself waits: it must not overtake the 101.
  void push_close(close_code, std::string_view reason);

  [[nodiscard]] bool sealed() const noexcept;
  /// Whether `gather` would find nothing. A Close that waits for the handshake is not counted, here or in `queued_bytes`.
  [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return queued_bytes_; }

  /// The front of the queue as buffers, at most `out.size()` of them; returns how many. Valid until the next `consume`
  /// or `abandon`.
  std::size_t gather(std::span<std::string_view> out) const noexcept;
  /// The kernel took `n` bytes from the front (at most `queued_bytes`): settles receipts `written`, returns the data
  /// frames completed. A chunk of several frames counts when its last byte is taken.
  progress consume(std::size_t n);
  /// The socket is gone: settles what is left with `why`, empties and seals.
  void abandon(send_result why = send_result::failed);

  // What is queued and not begun may be taken back, also from a sealed wire: data only, a run of frames as a whole, and
  // never what the kernel has a part of, or what lies in the `begun` bytes behind that: a transport has made a record of
  // them. Each settles receipts and returns what has gone.

  /// The oldest, until messages and bytes of `least` have both gone or nothing more can go: `overflow`.
  progress drop_oldest(const progress& least, std::size_t begun = 0);
  /// What has the key of these terms: `overflow`. Looks through the whole queue.
  progress drop_key(const send_terms&, std::size_t begun = 0);
  /// What has expired by `now`: `expired`. Looks through the whole queue; `next` becomes the moment at which the first
  /// of the others will expire, or time_point::max().
  progress drop_expired(time_point now, time_point& next, std::size_t begun = 0);

 private:
  enum class phase : std::uint8_t {
    handshake,          // raw bytes are HTTP
    handshake_closing,  // the same, and a Close waits for its end
    open,
    sealed,
    abandoned,
  };

  void enqueue_copy(std::string_view bytes);
  [[nodiscard]] std::size_t chunks_begun(std::size_t begun) const noexcept;
  template <class Judge>
  progress drop(std::size_t begun, Judge&&, send_result why);

  chunk_queue queue_;  // a chunk of no frames is raw bytes
  std::size_t queued_bytes_ = 0;
  std::unique_ptr<const std::string> waiting_close_;
  std::uint32_t sent_ = 0;  // of the first chunk
  phase phase_ = phase::handshake;
};

}  // namespace fairlead::protocol
