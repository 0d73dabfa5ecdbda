#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include <boost/json/object.hpp>

#include "protocol/snapshot.hpp"

namespace fairlead::service {

/// What the server says of itself on /health and /debug/tree.
struct server_status {
  bool ready = true;  ///< no drain or shutdown has begun
  protocol::wall_time started = {};
  std::string listen = {}, internal = {};
  std::size_t loops = 0, connections = 0, sockets = 0;
};

[[nodiscard]] boost::json::object status_json(const server_status&, protocol::wall_time now);

}  // namespace fairlead::service
