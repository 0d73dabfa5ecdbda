#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <boost/json/object.hpp>

#include "actors/session_gateway.hpp"
#include "protocol/snapshot.hpp"

namespace fairlead::service {

/// What the server says of itself on /health and /debug/tree.
struct server_status {
  bool ready = true;  ///< no drain or shutdown has begun
  protocol::wall_time started = {};
  std::string listen = {}, internal = {}, actors = {};
  std::size_t loops = 0, connections = 0, sockets = 0;
  std::uint64_t log_lines_lost = 0;
  std::uint64_t compressed = 0;                        // messages, so far
  std::uint64_t compression_spared = 0;                // the same
  std::size_t stream_bytes = 0;                        // of events that all sessions keep
  std::size_t max_total_stream_bytes = 0;              // the budget for them
  std::optional<actors::gateway_counts> gateway = {};  // none: no other process can spawn sessions
};

[[nodiscard]] boost::json::object status_json(const server_status&, protocol::wall_time now);

}  // namespace fairlead::service
