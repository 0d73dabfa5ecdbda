#include "service/internal_api.hpp"

#include <array>
#include <type_traits>

#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fairlead/version.hpp>

#include "service/api_request.hpp"
#include "service/debug_query.hpp"
#include "service/http_answer.hpp"
#include "service/request_guard.hpp"
#include "service/session_json.hpp"
#include "service/snapshot_json.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;

constexpr std::string_view one_prefix = "/debug/connections/";

protocol::wall_time now() { return std::chrono::system_clock::now(); }

/// The pattern's placeholder stands for one segment that is not empty.
bool matches(std::string_view pattern, std::string_view path) noexcept {
  const auto open = pattern.find('<'), close = pattern.find('>');
  if (open == std::string_view::npos) return pattern == path;
  const auto before = pattern.substr(0, open), behind = pattern.substr(close + 1);
  if (path.size() <= before.size() + behind.size()) return false;
  if (!path.starts_with(before) || !path.ends_with(behind)) return false;
  path = path.substr(before.size(), path.size() - before.size() - behind.size());
  return path.find('/') == std::string_view::npos;
}

bool allows(std::string_view route_method, std::string_view method) noexcept {
  return route_method == method || (route_method == "GET" && method == "HEAD");
}

}  // namespace

json::object status_json(const server_status& s, protocol::wall_time at) {
  json::object out;
  out["status"] = s.ready ? "ok" : "draining";
  out["version"] = version();
  out["started"] = rfc3339(s.started);
  out["uptime_s"] = std::chrono::duration_cast<std::chrono::seconds>(at - s.started).count();
  out["listen"] = s.listen;
  out["internal"] = s.internal;
  out["actors"] = text_or_null(s.actors);
  out["loops"] = s.loops;
  out["connections"] = s.connections;
  out["sockets"] = s.sockets;
  return out;
}

internal_api::internal_api(internal_api_options o)
    : options_(std::move(o)),
      desk_(std::make_shared<reply_desk>(options_.loop)),
      sessions_(*options_.backbone, desk_, options_.logger, options_.snapshot_timeout,
                options_.outcome_timeout) {}

template <auto Handler>
void internal_api::run(internal_api& api, const net::http_request& request, net::respond respond) {
  if constexpr (std::is_member_function_pointer_v<decltype(Handler)> &&
                requires { (api.*Handler)(request, std::move(respond)); })
    (api.*Handler)(request, std::move(respond));
  else
    (api.sessions_.*Handler)(request, std::move(respond));
}

std::span<const internal_api::route> internal_api::routes() noexcept {
  static constexpr std::array<route, 22> all{{
      {"GET", "/", "this list", &run<&internal_api::index>},
      {"GET", "/health", "200 while the process is alive; needs no token",
       &run<&internal_api::health>},
      {"GET", "/ready", "200 while it serves, 503 once it drains; needs no token",
       &run<&internal_api::ready>},
      {"GET", "/metrics", "metrics in Prometheus' text format", &run<&internal_api::metrics>},
      {"GET", "/debug/tree",
       "the supervision tree: mailboxes, connections by state and lag of each loop",
       &run<&internal_api::tree>},
      {"GET", "/debug/connections",
       "the connections; ?state=&user=&sort=&limit=&cursor=", &run<&internal_api::connections>},
      {"GET", "/debug/connections/<id>",
       "one connection: why it is in its state, queue, outcomes, last 32 events",
       &run<&internal_api::one_connection>},
      {"GET", "/debug/closed",
       "the last 1,000 that ended and why, newest first; ?limit=", &run<&internal_api::closed>},
      {"GET", "/debug/sessions",
       "the sessions; ?state=&type=&user=&limit=&cursor=; state=ended: the last 1,000 that did",
       &run<&session_api::list>},
      {"GET", "/debug/sessions/<id>",
       "one session: why it is in its state, stream, sockets, last 16 events; or how it ended",
       &run<&session_api::one>},
      {"POST", "/api/send",
       R"({"client"|"user": ..., "data": ..., "wait": true}: send to one connection or one user)",
       &run<&internal_api::send>},
      {"POST", "/api/send_all",
       R"({"data": ..., "except": ["c0-1", ...], "wait": true}: send to every connection)",
       &run<&internal_api::send_all>},
      {"POST", "/api/disconnect",
       R"({"client"|"user": ..., "disconnect": {"code": 1000, "reason": "..."}}: close one connection or one user's)",
       &run<&internal_api::disconnect>},
      {"POST", "/api/spawn_session",
       R"({"type": ..., "id", "user", "arguments", "metadata", "options", "key"}: begin a session)",
       &run<&session_api::spawn>},
      {"POST", "/api/emit",
       R"({"session": ..., "type": ..., "data": ..., "key", "wait": true, "acked": true, "ack_timeout_ms"}: one event)",
       &run<&session_api::emit>},
      {"POST", "/api/end_session", R"({"session": ..., "reason": "..."}: end a session)",
       &run<&session_api::end>},
      {"POST", "/api/issue_token",
       R"({"session": ...}: one more token, for a client that has lost its own)",
       &run<&session_api::issue_token>},
      {"GET", "/api/sessions", "as /debug/sessions", &run<&session_api::list>},
      {"GET", "/api/session/<id>", "as /debug/sessions/<id>", &run<&session_api::one>},
      {"GET", "/api/session/<id>/inbox",
       "what clients sent, from behind ?after= on, which counts as done with; &limit=&wait_ms=",
       &run<&session_api::inbox>},
      {"GET", "/api/drain", "how far a drain has come", &run<&internal_api::drain_state>},
      {"POST", "/api/drain",
       R"({"timeout_ms", "grace_ms", "spread_ms", "rate", "code", "reason"}, all optional: begin to go down)",
       &run<&internal_api::drain>},
  }};
  return all;
}

void internal_api::handle(const net::http_request& request, net::respond respond) {
  if (request.path != "/health" && request.path != "/ready") {
    if (auto refusal = refuse_request(request, options_.token)) return respond(std::move(*refusal));
  }
  std::string allowed;
  for (const auto& r : routes()) {
    if (!matches(r.path, request.path)) continue;
    if (allows(r.method, request.method)) return r.run(*this, request, std::move(respond));
    allowed += allowed.empty() ? "" : ", ";
    allowed += r.method == "GET" ? "GET, HEAD" : r.method;
  }
  if (!allowed.empty())
    return respond(method_not_allowed(request.method, request.path, std::move(allowed)));

  std::vector<std::string_view> paths;
  for (const auto& r : routes()) paths.push_back(r.path);
  respond(
      error_answer(404, fmt::format("there is nothing at {}{}; GET / lists what there is",
                                    in_quotes(request.path), did_you_mean(request.path, paths))));
}

std::optional<net::http_response> internal_api::upgrade(std::size_t, const upgrade_request&,
                                                        net::upgrade_turn&) {
  return error_answer(
      404, "the internal listener takes no WebSocket connections; connect to the public listener");
}

void internal_api::index(const net::http_request&, net::respond respond) {
  json::array endpoints;
  for (const auto& r : routes()) {
    endpoints.push_back(json::object{{"method", r.method}, {"path", r.path}, {"about", r.about}});
  }
  respond(json_answer(
      {{"server", status_json(options_.status(), now())}, {"endpoints", std::move(endpoints)}}));
}

void internal_api::health(const net::http_request&, net::respond respond) {
  respond(health_answer(options_.status().ready));
}

void internal_api::ready(const net::http_request&, net::respond respond) {
  respond(ready_answer(options_.status().ready));
}

void internal_api::metrics(const net::http_request&, net::respond respond) {
  options_.backbone->take_metrics(
      options_.snapshot_timeout,
      [respond, page = metrics_, hits = options_.hits, refusals = options_.refusals,
       status = options_.status(),
       kinds = options_.backbone->session_types()](const actors::metrics_snapshot& now) {
        auto process = read_process_figures();
        process.started_at =
            std::chrono::duration<double>(status.started.time_since_epoch()).count();
        respond({.status = 200,
                 .content_type = metrics_page::content_type,
                 .body = page->render(now, status, *hits, *refusals, process, kinds),
                 .headers = {{"Cache-Control", "no-store"}}});
      });
}

void internal_api::tree(const net::http_request&, net::respond respond) {
  options_.backbone->take_tree(
      options_.snapshot_timeout,
      [respond, status = options_.status(),
       kinds = options_.backbone->session_types()](const actors::tree_snapshot& tree) {
        const auto at = now();
        auto body = tree_json(tree, at);
        body["supervisor"].as_object()["sessions"] = sessions_tree_json(kinds, status);
        body["server"] = status_json(status, at);
        respond(json_answer(body));
      });
}

void internal_api::connections(const net::http_request& request, net::respond respond) {
  auto query = parse_connections_query(request.query);
  if (!query) return respond(bad_request(query.error()));
  options_.backbone->take_connections(
      options_.snapshot_timeout, [respond, query = std::move(*query)](server_snapshot all) {
        const auto at = now();
        const auto page = choose(std::move(all.connections), query, at);
        respond(json_answer(page_json(page, all, at)));
      });
}

void internal_api::one_connection(const net::http_request& request, net::respond respond) {
  const auto text = std::string_view{request.path}.substr(one_prefix.size());
  const auto id = parse_connection_id(text);
  if (!id) {
    return respond(
        bad_request({"id", fmt::format("{} is no connection id; give one such as \"c0-17\", from "
                                       "/debug/connections",
                                       in_quotes(text))}));
  }
  options_.backbone->take_connection(
      *id, options_.snapshot_timeout,
      [respond, id = *id](const actors::backbone::one_snapshot& one) {
        if (!one.found) {
          return respond(error_answer(
              404, fmt::format("there is no connection {}; see /debug/closed for how those "
                               "that were ended",
                               to_string(id))));
        }
        if (!one.answered) {
          return respond(json_answer(
              {{"error", "the connection's actor did not answer in time: its loop is busy or "
                         "stuck; see loop_lag_us in /debug/tree"},
               {"unanswered", json::array{json_text(to_string(id))}}},
              504));
        }
        respond(json_answer(connection_json(one.snapshot, now())));
      });
}

void internal_api::closed(const net::http_request& request, net::respond respond) {
  const auto limit = parse_closed_query(request.query);
  if (!limit) return respond(bad_request(limit.error()));
  options_.backbone->take_closed(
      options_.snapshot_timeout,
      [respond, limit = *limit](const std::vector<protocol::closed_record>& records) {
        json::array rows;
        for (const auto& r : records) {
          if (rows.size() == limit) break;
          rows.push_back(closed_json(r));
        }
        json::object body;
        body["taken_at"] = rfc3339(now());
        body["kept"] = records.size();
        body["returned"] = rows.size();
        body["closed"] = std::move(rows);
        respond(json_answer(body));
      });
}

std::function<void(json::object)> internal_api::result_to(net::respond respond) {
  json::object pending;
  pending["result"] = outcome_json("pending");
  pending["note"] = fmt::format(
      "it is queued and was not settled within {}: a client reads slowly or not at all; "
      "see queued_messages in /debug/connections",
      in_words(options_.outcome_timeout));
  auto answer =
      desk_->open(std::move(respond), options_.outcome_timeout, json_answer(pending, 202));
  return [answer = std::move(answer)](json::object result) {
    answer(json_answer({{"result", std::move(result)}}));
  };
}

namespace {

using result_sink = std::function<void(json::object)>;

/// Null where nobody waits: then the send asks for nothing, and costs what a send costs that asks for nothing.
broadcast_callback summary_to(result_sink result, const send_options& how) {
  if (!result) return nullptr;
  return [result = std::move(result), named = how.refused_ids > 0](const broadcast_summary& s) {
    auto outcomes = outcomes_json(s);
    if (named) outcomes["refused_ids"] = refused_json(s);
    result(std::move(outcomes));
  };
}

}  // namespace

void internal_api::answer_now(const net::respond& respond, bool taken) {
  if (!taken)
    return respond(error_answer(503, "refused: too many messages wait for their fan-out "
                                     "(max_pending_broadcasts), or the server is stopping"));
  json::object accepted;
  accepted["result"] = outcome_json("pending");
  accepted["note"] = R"(it was accepted; ask with "wait": true to be told the outcome)";
  respond(json_answer(accepted, 202));
}

void internal_api::send(const net::http_request& request, net::respond respond) {
  auto wanted = parse_send(request.body);
  if (!wanted) return respond(bad_request(wanted.error()));
  const auto result = wanted->wait ? result_to(respond) : nullptr;
  bool taken = false;
  if (const auto* id = std::get_if<connection_id>(&wanted->to)) {
    send_callback done;
    if (result) done = [result](send_result r) { result(outcome_json(to_string(r))); };
    taken = options_.backbone->send(*id, std::move(wanted->data), wanted->how, std::move(done));
  } else {
    taken = options_.backbone->send_to_user(std::get<std::string>(std::move(wanted->to)),
                                            std::move(wanted->data), wanted->how,
                                            summary_to(result, wanted->how));
  }
  if (!result) answer_now(respond, taken);
}

void internal_api::send_all(const net::http_request& request, net::respond respond) {
  auto wanted = parse_send_all(request.body);
  if (!wanted) return respond(bad_request(wanted.error()));
  const auto result = wanted->wait ? result_to(respond) : nullptr;
  const bool taken =
      options_.backbone->broadcast(std::move(wanted->data), std::move(wanted->except), wanted->how,
                                   summary_to(result, wanted->how));
  if (!result) answer_now(respond, taken);
}

void internal_api::disconnect(const net::http_request& request, net::respond respond) {
  auto wanted = parse_disconnect(request.body);
  if (!wanted) return respond(bad_request(wanted.error()));
  const auto* id = std::get_if<connection_id>(&wanted->whom);
  if (options_.logger) {
    (*options_.logger)(
        severity::info, "api.disconnect",
        {{"by", std::string_view{request.peer}},
         {id ? "id" : "user", id ? to_string(*id) : std::get<std::string>(wanted->whom)},
         {"code", std::uint64_t{static_cast<std::uint16_t>(wanted->code)}},
         {"reason", std::string_view{wanted->reason}}});
  }
  auto result = result_to(std::move(respond));
  if (id) {
    options_.backbone->remove(*id, wanted->code, std::move(wanted->reason),
                              [result](close_result r) { result(outcome_json(to_string(r))); });
  } else {
    options_.backbone->close_user(std::get<std::string>(std::move(wanted->whom)), wanted->code,
                                  std::move(wanted->reason), [result](std::size_t n) {
                                    result({{"initiated", n}});
                                  });
  }
}

void internal_api::drain_state(const net::http_request&, net::respond respond) {
  respond(json_answer(drain_json(options_.drain_state())));
}

void internal_api::drain(const net::http_request& request, net::respond respond) {
  auto how = parse_drain(request.body, options_.drain_defaults());
  if (!how) return respond(bad_request(how.error()));
  if (options_.logger)
    (*options_.logger)(severity::info, "api.drain", {{"by", std::string_view{request.peer}}});
  options_.drain(std::move(*how));
  respond(json_answer(drain_json(options_.drain_state()), 202));
}

}  // namespace fairlead::service
