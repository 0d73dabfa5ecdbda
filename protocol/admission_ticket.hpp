#pragma once

#include <chrono>
#include <optional>

#include <fairlead/connection.hpp>
#include <fairlead/snapshot.hpp>

namespace fairlead::protocol {

/// What the admission of a connection says beside its user.
struct admission_ticket {
  connection_metadata metadata;
  std::optional<wall_time> expires_at;
  std::chrono::microseconds waited{0};  ///< from the upgrade request to the decision
};

}  // namespace fairlead::protocol
