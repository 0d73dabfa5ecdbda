#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <tuple>

#include <fairlead/close.hpp>
#include <fairlead/log.hpp>

#include "protocol/histogram.hpp"
#include "protocol/snapshot.hpp"

/// What metrics tell of the connections of one loop. Values, without a connection's or a user's name in them: as many
/// series with a million clients as with one.
namespace fairlead::protocol {

/// A close code as a metric's label: the code where it has a meaning of its own, else the range that it is from. Peers
/// choose codes, so there must be no label for each.
[[nodiscard]] std::string_view code_label(close_code) noexcept;

/// Ends are counted by these.
struct end_key {
  initiator by;
  std::string_view code;  ///< code_label
  severity level;
  friend bool operator<(const end_key& a, const end_key& b) noexcept {
    return std::tie(a.by, a.code, a.level) < std::tie(b.by, b.code, b.level);
  }
};
[[nodiscard]] end_key key_of(const close_info&) noexcept;

/// Counted as it happens; no message is counted here, connections do that for themselves.
struct loop_tally {
  std::uint64_t opened = 0;
  std::map<end_key, std::uint64_t> ended;
  histogram admission;  ///< from the upgrade request to `open`
  histogram closing;    ///< from the first Close frame to the end
};

/// All of it, at one moment.
struct loop_metrics {
  loop_tally tally;
  traffic totals;  ///< of all connections that there were and are
  std::uint64_t queued_messages = 0, queued_bytes = 0;
  std::uint64_t mailboxes = 0;  ///< messages that wait in connections' mailboxes
};

/// Adds what has passed over one connection.
traffic& operator+=(traffic&, const traffic&) noexcept;

/// Messages that have had an outcome, and those of them that were not written.
[[nodiscard]] std::uint64_t settled(const traffic&) noexcept;
[[nodiscard]] std::uint64_t refused(const traffic&) noexcept;

}  // namespace fairlead::protocol
