#include "service/snapshot_json.hpp"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "protocol/loop_metrics.hpp"
#include "service/explanation.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;
using namespace std::chrono;
using protocol::connection_snapshot;
using protocol::connection_state;
using protocol::wall_time;

json::string view(std::string_view trusted) { return json::string(trusted.data(), trusted.size()); }

json::string time(wall_time when) { return view(rfc3339(when)); }

std::int64_t ms_between(wall_time from, wall_time to) {
  return duration_cast<milliseconds>(to - from).count();
}

void add_outcomes(json::object& out, std::span<const std::uint64_t, send_result_count> counts) {
  for (std::size_t i = 0; i < counts.size(); ++i)
    out[to_string(static_cast<send_result>(i))] = counts[i];
}

json::object by_state_json(std::span<const std::uint64_t> counts) {
  json::object out;
  for (std::size_t i = 0; i < counts.size(); ++i)
    out[to_string(static_cast<connection_state>(i))] = counts[i];
  return out;
}

void add_traffic(json::object& out, const protocol::traffic& t) {
  out["messages_in"] = t.messages_in;
  out["messages_out"] = t.outcomes[static_cast<std::size_t>(send_result::written)];
  out["sends_refused"] = protocol::refused(t);
}

void add_close(json::object& out, close_code code, std::string_view reason, initiator by) {
  out["code"] = static_cast<unsigned>(code);
  out["meaning"] = view(meaning(code));
  out["reason"] = text_or_null(reason);
  out["initiator"] = view(to_string(by));
}

json::value last_close_json(const connection_snapshot& c) {
  if (!c.last_close) return nullptr;
  json::object out;
  add_close(out, c.last_close->code, c.last_close->reason, c.last_close->by);
  out["result"] = view(to_string(c.last_close->result));
  out["at"] = time(c.began + c.last_close->at);
  out["at_ms"] = c.last_close->at.count();
  return out;
}

json::array events_json(const connection_snapshot& c) {
  json::array out;
  for (const auto& e : c.events) {
    out.push_back(json::object{{"at", time(c.began + e.at)},
                               {"at_ms", e.at.count()},
                               {"event", view(e.name)},
                               {"detail", e.detail},
                               {"about", text_or_null(explain(e))}});
  }
  return out;
}

json::object metadata_json(const connection_metadata& metadata) {
  json::object out;
  for (const auto& [name, value] : metadata) out[json_text(name)] = json_text(value);
  return out;
}

/// The part that the table and the single view share, in the same order.
json::object head(const connection_snapshot& c, wall_time now) {
  json::object out;
  out["id"] = view(to_string(c.id));
  out["state"] = view(to_string(c.state));
  out["state_since"] = time(now - c.in_state);
  out["in_state_ms"] = c.in_state.count();
  out["why"] = json_text(explain(c));
  out["user"] = text_or_null(c.user);
  out["metadata"] = metadata_json(c.metadata);
  out["expires_at"] = c.expires_at ? json::value(time(*c.expires_at)) : json::value(nullptr);
  out["peer"] = json_text(c.peer);
  out["target"] = json_text(c.target);
  out["tls"] = text_or_null(c.tls);
  out["compresses"] = c.compresses;
  out["began"] = time(c.began);
  out["age_ms"] = std::max<std::int64_t>(0, ms_between(c.began, now));
  out["mailbox"] = c.mailbox;
  out["queued_messages"] = c.queued_messages;
  out["queued_bytes"] = c.queued_bytes;
  out["wire_bytes"] = c.wire_bytes;
  return out;
}

json::object node_json(const actors::tree_node& n) {
  json::object out{{"name", json_text(n.name)}, {"actor", n.actor}, {"answered", n.answered}};
  if (!n.answered) {
    out["why"] = "did not answer in time: its loop is busy or stuck";
    return out;
  }
  out["mailbox"] = n.mailbox;
  out["connections"] = n.connections;
  out["by_state"] = by_state_json(n.by_state);
  out["users"] = n.users;
  out["behaviors"] = n.behaviors;
  out["queued_bytes"] = n.queued_bytes;
  return out;
}

}  // namespace

json::string json_text(std::string_view text) { return view(valid_utf8(text)); }

json::value text_or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return json_text(text);
}

json::object outcome_json(std::string_view name) { return {{"outcome", view(name)}}; }

json::object outcomes_json(const broadcast_summary& s) {
  json::object out;
  add_outcomes(out, s.counts);
  out["addressed"] = s.addressed();
  return out;
}

json::array refused_json(const broadcast_summary& s) {
  json::array all;
  for (const auto& r : s.refused_ids)
    all.push_back(
        json::object{{"client", view(to_string(r.id))}, {"outcome", view(to_string(r.why))}});
  return all;
}

json::object row_json(const connection_snapshot& c, wall_time now) {
  auto out = head(c, now);
  add_traffic(out, c.counts);
  return out;
}

json::object page_json(const connections_page& page, const server_snapshot& all, wall_time now) {
  json::array rows, unanswered, loops;
  for (const auto& c : page.rows) rows.push_back(row_json(c, now));
  for (const auto id : all.unanswered) unanswered.push_back(view(to_string(id)));
  for (const auto loop : all.unanswered_loops) loops.push_back(loop);
  json::object out;
  out["taken_at"] = time(now);
  out["matching"] = page.matching;
  out["returned"] = rows.size();
  out["next_cursor"] = text_or_null(page.next_cursor);
  out["unanswered"] = std::move(unanswered);
  out["unanswered_loops"] = std::move(loops);
  out["connections"] = std::move(rows);
  return out;
}

json::object connection_json(const connection_snapshot& c, wall_time now) {
  auto out = head(c, now);
  out["max_queued_messages"] = c.max_queued_messages;
  out["max_queued_bytes"] = c.max_queued_bytes;
  out["slow_consumers"] = view(to_string(c.slow_consumers));
  out["unhandled_messages"] = c.unhandled_messages;
  out["paused_for"] = text_or_null(c.lagging ? "unhandled" : c.throttled ? "rate" : "");
  out["silent_ms"] = c.silent.count();
  out["awaits_pong"] = c.awaits_pong;
  out["throttled"] = c.throttled;
  out["round_trip_us"] = c.round_trip ? json::value(c.round_trip->count()) : nullptr;
  out["last_close"] = last_close_json(c);
  json::object outcomes;
  add_outcomes(outcomes, c.counts.outcomes);
  out["traffic"] = json::object{{"messages_in", c.counts.messages_in},
                                {"bytes_in", c.counts.bytes_in},
                                {"bytes_written", c.counts.bytes_written},
                                {"sends_by_outcome", std::move(outcomes)}};
  out["events"] = events_json(c);
  return out;
}

json::object closed_json(const protocol::closed_record& r) {
  json::object out;
  out["id"] = view(to_string(r.id));
  out["state"] = view(to_string(r.final_state));
  out["ended"] = time(r.ended);
  out["why"] = json_text(explain(r));
  add_close(out, r.info.code, r.info.reason, r.info.by);
  out["clean"] = r.info.clean;
  out["reached"] = view(to_string(r.reached));
  out["user"] = text_or_null(r.user);
  out["peer"] = json_text(r.peer);
  out["began"] = time(r.began);
  out["lasted_ms"] = ms_between(r.began, r.ended);
  add_traffic(out, r.counts);
  out["bytes_in"] = r.counts.bytes_in;
  out["bytes_written"] = r.counts.bytes_written;
  return out;
}

json::object tree_json(const actors::tree_snapshot& tree, wall_time now) {
  json::array rosters, unanswered;
  if (!tree.supervisor.answered) unanswered.push_back(json_text(tree.supervisor.name));
  for (std::size_t i = 0; i < tree.rosters.size(); ++i) {
    const auto& roster = tree.rosters[i];
    auto node = node_json(roster);
    node["loop"] = i;
    if (roster.answered) {
      node["loop_lag_us"] = roster.loop_lag.count();
    } else {
      unanswered.push_back(json_text(roster.name));
    }
    rosters.push_back(std::move(node));
  }
  auto supervisor = node_json(tree.supervisor);
  supervisor["rosters"] = std::move(rosters);
  json::object out;
  out["taken_at"] = time(now);
  out["unanswered"] = std::move(unanswered);
  out["supervisor"] = std::move(supervisor);
  return out;
}

json::object drain_json(const drain_progress& p) {
  json::object out;
  out["phase"] = view(to_string(p.phase));
  out["connections"] = p.connections;
  out["asked"] = p.asked;
  out["closed"] = p.closed;
  out["aborted"] = p.aborted;
  out["left"] = p.left;
  out["elapsed_ms"] = p.elapsed.count();
  return out;
}

}  // namespace fairlead::service
