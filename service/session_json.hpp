#pragma once

#include <memory>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fairlead/session.hpp>

#include "actors/session_core.hpp"
#include "protocol/snapshot.hpp"
#include "service/server_status.hpp"

/// Sessions as JSON, by the rules of service/snapshot_json.hpp. Pure.
namespace fairlead::service {

/// What a handle knows at once: the answer to a spawn.
[[nodiscard]] boost::json::object brief_json(const session&);
/// One row of /api/sessions.
[[nodiscard]] boost::json::object row_json(const session_snapshot&, protocol::wall_time now);
/// All of /api/session/<id>.
[[nodiscard]] boost::json::object session_json(const session_snapshot&, protocol::wall_time now);
/// One that has ended, in the fields of the others.
[[nodiscard]] boost::json::object ended_json(const ended_session&);
/// `{"outcome": "written", "offset": 7, "duplicate": false}`; the offset of what was refused is null.
[[nodiscard]] boost::json::object report_json(const emit_report&);
/// Messages of clients: `{"offset": 1, "text": "..."}`, or `base64` for a binary one.
[[nodiscard]] boost::json::array inbox_json(const std::vector<inbox_message>&);

using session_kinds = std::vector<std::shared_ptr<const actors::registered_type>>;
/// The part of /debug/tree about sessions: how many, by type and state, and what they keep together.
[[nodiscard]] boost::json::object sessions_tree_json(const session_kinds&, const server_status&);

}  // namespace fairlead::service
