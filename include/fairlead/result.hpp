#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>
#include <vector>

#include <fairlead/connection_id.hpp>

namespace fairlead {

/// What became of one message that was sent to one connection.
///
/// Exactly one of these is reported for every send. `written` means that the kernel took the last byte of the
/// message; nothing here claims that the peer received it. Every other value is a refusal, and names what the
/// send met: nothing of a refused message was left half-written on a connection that lives on.
enum class send_result : std::uint8_t {
  written,       ///< the kernel took the last byte
  connecting,    ///< refused: the WebSocket handshake is not complete
  accepted,      ///< refused: the handshake is complete, admission is not
  closing,       ///< refused: a Close frame is queued or was sent
  closed,        ///< refused: the connection has ended
  failed,        ///< refused: the connection broke before the kernel took the last byte
  reconnecting,  ///< refused: the user has no connection at the moment, one may come back
  overflow,      ///< refused: no room in the queue, or dropped or replaced there for a newer one
  expired,       ///< refused: its time to live passed while it was queued
  too_large,     ///< refused: larger than the outgoing message limit
  no_such_connection,  ///< refused: no such connection or user is known
};

inline constexpr std::size_t send_result_count = 11;

/// What a request to close met. Only `initiated` starts a close; every value is safe and final for its caller.
enum class close_result : std::uint8_t {
  initiated,           ///< this request started the closing handshake
  already_closing,     ///< a close is under way; its code and reason stand
  already_closed,      ///< the connection has ended (closed or failed)
  no_such_connection,  ///< no such connection is known
  invalid_code,  ///< the code may not be sent by an endpoint, or the reason is no valid reason
};

/// The result's name as it is written in logs, metrics and JSON: `"no_such_connection"`.
[[nodiscard]] std::string_view to_string(send_result) noexcept;
[[nodiscard]] std::string_view to_string(close_result) noexcept;

/// A connection that did not get a broadcast, and why.
struct refused_send {
  connection_id id;
  send_result why = send_result::closed;
  friend bool operator==(const refused_send&, const refused_send&) = default;
};

/// The outcomes of one broadcast. The counts add up to the connections that were addressed.
struct broadcast_summary {
  std::array<std::uint64_t, send_result_count> counts{};
  /// The first of the connections that refused it, in no order, if `send_options::refused_ids` asked for them. Those
  /// of which nothing is known by name are not here: a broadcast that was refused before its fan-out has none.
  std::vector<refused_send> refused_ids;

  [[nodiscard]] std::uint64_t count(send_result r) const noexcept {
    return counts[static_cast<std::size_t>(r)];
  }
  [[nodiscard]] std::uint64_t addressed() const noexcept {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }
  [[nodiscard]] std::uint64_t refused() const noexcept {
    return addressed() - count(send_result::written);
  }

  void add(send_result r, std::uint64_t n = 1) noexcept {
    counts[static_cast<std::size_t>(r)] += n;
  }
  broadcast_summary& operator+=(const broadcast_summary& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    refused_ids.insert(refused_ids.end(), other.refused_ids.begin(), other.refused_ids.end());
    return *this;
  }
  friend bool operator==(const broadcast_summary&, const broadcast_summary&) = default;
};

}  // namespace fairlead
