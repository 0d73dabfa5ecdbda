#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fairlead {

/// Names one connection within one run of a server; never reused. Printed `c<loop>-<serial>`: `c0-17`.
struct connection_id {
  std::uint16_t loop = 0;
  std::uint64_t serial = 0;  ///< from 1; 0 is no connection
  friend auto operator<=>(const connection_id&, const connection_id&) = default;
};
[[nodiscard]] std::string to_string(connection_id);
/// The id that `text` names, or nothing if it is not of the form `c<loop>-<serial>`.
[[nodiscard]] std::optional<connection_id> parse_connection_id(std::string_view text) noexcept;

}  // namespace fairlead
