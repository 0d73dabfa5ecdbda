#pragma once

#include <chrono>
#include <functional>

#include "actors/backbone.hpp"
#include "actors/environment.hpp"

/// Short-lived actors on the side loop: each asks, gathers until all have answered or its time is up, reports, and quits.
namespace fairlead::actors {

void collect_tree(environment&, std::chrono::milliseconds timeout,
                  std::function<void(tree_snapshot)>);
void collect_metrics(environment&, std::chrono::milliseconds timeout,
                     std::function<void(metrics_snapshot)>);
void collect_connections(environment&, std::chrono::milliseconds timeout,
                         std::function<void(server_snapshot)>);
void collect_connection(environment&, connection_id, std::chrono::milliseconds timeout,
                        std::function<void(backbone::one_snapshot)>);
void collect_closed(environment&, std::chrono::milliseconds timeout,
                    std::function<void(std::vector<protocol::closed_record>)>);

/// Of these sessions.
void collect_sessions(environment&, std::vector<std::shared_ptr<const detail::session_core>>,
                      std::chrono::milliseconds timeout,
                      std::function<void(backbone::sessions_snapshot)>);

}  // namespace fairlead::actors
