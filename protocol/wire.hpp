#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <vector>

#include <fairlead/close.hpp>

#include "protocol/chunk.hpp"
#include "protocol/ports.hpp"

namespace fairlead::protocol {

/// The outgoing queue of one socket and the second gate: it holds whole frames in order and seals at the first Close
/// frame that enters it, whoever wrote it. Nothing enters a sealed wire. Pure: no socket, no clock.
class wire {
 public:
  wire() = default;
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;
  ~wire();  ///< abandons

  /// Queues data frames. False if sealed: not taken, receipt untouched.
  [[nodiscard]] bool push(const chunk&);
  /// Queues bytes of the transport's own: before the upgrade an HTTP response, after it one whole control frame. A Close
  /// frame seals; what comes to a sealed wire (a second Close, a late pong) is dropped. Copies.
  void push_raw(std::string_view bytes);
  /// After this, raw bytes are control frames. Before it they are HTTP and never seal.
  void handshake_done() noexcept;
  /// Queues a Close frame (RFC 6455 5.5.1) and seals; nothing if sealed. `no_status` gives an empty body.
  void push_close(close_code, std::string_view reason);

  [[nodiscard]] bool sealed() const noexcept;
  [[nodiscard]] bool empty() const noexcept;
  [[nodiscard]] std::size_t queued_bytes() const noexcept;

  /// The front of the queue as buffers, at most `out.size()` of them; returns how many. Valid until the next change.
  std::size_t gather(std::span<std::string_view> out) const noexcept;
  /// The kernel took `n` bytes from the front: settles receipts `written`, returns the data frames completed.
  progress consume(std::size_t n);
  /// The socket is gone: settles what is left with `why`, empties and seals.
  void abandon(send_result why = send_result::failed);
};

}  // namespace fairlead::protocol
