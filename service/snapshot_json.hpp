#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

#include "actors/backbone.hpp"
#include "protocol/snapshot.hpp"
#include "service/debug_query.hpp"

/// Snapshots and outcomes as JSON: what the debug and API endpoints answer. Pure.
///
/// Times are RFC 3339 in UTC, durations have their unit in the field's name, absent things are null, and fields come in
/// the order in which one reads them when something is wrong.
namespace fairlead::service {

/// A JSON string of any bytes; what is no UTF-8 is replaced.
[[nodiscard]] boost::json::string json_text(std::string_view);
/// The same, and null for what is not there: an anonymous user, an empty reason.
[[nodiscard]] boost::json::value text_or_null(std::string_view);

/// `{"outcome": "written"}`
[[nodiscard]] boost::json::object outcome_json(std::string_view name);
/// Every outcome with its count, then `"addressed"`, their sum.
[[nodiscard]] boost::json::object outcomes_json(const broadcast_summary&);
/// Who refused, and why.
[[nodiscard]] boost::json::array refused_json(const broadcast_summary&);

/// One row of /debug/connections.
[[nodiscard]] boost::json::object row_json(const protocol::connection_snapshot&,
                                           protocol::wall_time now);
/// All of /debug/connections.
[[nodiscard]] boost::json::object page_json(const connections_page&, const server_snapshot&,
                                            protocol::wall_time now);
/// All of /debug/connections/<id>.
[[nodiscard]] boost::json::object connection_json(const protocol::connection_snapshot&,
                                                  protocol::wall_time now);
/// One line of /debug/closed.
[[nodiscard]] boost::json::object closed_json(const protocol::closed_record&);
/// All of /api/drain.
[[nodiscard]] boost::json::object drain_json(const drain_progress&);
/// The supervisor with its rosters below it, and who did not answer.
[[nodiscard]] boost::json::object tree_json(const actors::tree_snapshot&, protocol::wall_time now);

}  // namespace fairlead::service
