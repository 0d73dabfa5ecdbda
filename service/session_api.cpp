#include "service/session_api.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "actors/session_core.hpp"
#include "protocol/session_frames.hpp"
#include "service/http_answer.hpp"
#include "service/session_json.hpp"
#include "service/snapshot_json.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

protocol::wall_time now() { return std::chrono::system_clock::now(); }

unsigned status_of(emit_result r) noexcept {
  switch (r) {
  case emit_result::written:
  case emit_result::kept:
  case emit_result::acked: return 200;
  case emit_result::unacked: return 504;
  case emit_result::ended: return 410;
  case emit_result::overflow: return 503;
  case emit_result::too_large: return 413;
  case emit_result::invalid_data: return 400;
  case emit_result::no_such_session: return 404;
  }
  return 500;
}

std::string advice(emit_result r, const session& of) {
  switch (r) {
  case emit_result::unacked:
    return "no client acknowledged it in time; it is in the stream all the same";
  case emit_result::overflow:
    return "too many events of this session wait for their turn or an acknowledgement, or all "
           "sessions together keep max_total_stream_bytes; send more slowly";
  case emit_result::too_large: {
    const auto most = of.core()->largest_event();
    return fmt::format("data: larger than an event of this session may be now, {} bytes with {} "
                       "for what is around it ({})",
                       most.bytes, protocol::event_overhead, most.option);
  }
  case emit_result::invalid_data:  // of the type that was looked at before
    return "data: JSON that cannot be kept, such as a number too large for a double";
  case emit_result::ended: return "the session has ended; see /api/session/<id>";
  default: return {};
  }
}

net::http_response report_answer(const emit_report& r, const session& of) {
  json::object body;
  if (const auto text = advice(r.result, of); !text.empty()) body["error"] = json_text(text);
  body["result"] = report_json(r);
  return json_answer(body, status_of(r.result));
}

net::http_response pending_answer(std::string_view note) {
  return json_answer({{"result", outcome_json("pending")}, {"note", json_text(note)}}, 202);
}

json::object spawned_json(const session& s, bool duplicate, std::string_view token) {
  json::object body;
  body["result"] = outcome_json(to_string(spawn_result::spawned));
  body["duplicate"] = duplicate;
  body["session"] = brief_json(s);
  body["token"] = text_or_null(token);
  return body;
}

net::http_response inbox_answer(const inbox_page& p, std::uint64_t after) {
  if (p.another)
    return json_answer(
        {{"error", json_text(fmt::format(
                       "after: {} is no place in this inbox, of epoch {}, whose last message "
                       "is {}: was it another session of the same id? Nothing was dropped; "
                       "begin again with after=0",
                       after, p.epoch, p.last))},
         {"epoch", json_text(p.epoch)},
         {"last", p.last}},
        409);
  json::object body{{"ended", p.ended}, {"epoch", text_or_null(p.epoch)}};
  body["messages"] = inbox_json(p.messages);
  if (p.ended) body["unread"] = p.unread;
  return json_answer(body);
}

net::http_response ended_answer(const session& s) {
  const auto why = s.why_ended();
  json::object body;
  body["error"] = json_text(fmt::format("the session {} has ended", in_quotes(s.id())));
  body["result"] = outcome_json(to_string(emit_result::ended));
  body["session"] = brief_json(s);
  body["session"].as_object()["by"] = json_text(to_string(why.by));
  body["session"].as_object()["reason"] = text_or_null(why.reason);
  return json_answer(body, 410);
}

/// It issued none: it has ended, or too many requests wait for it.
net::http_response no_token_answer(const session& s) {
  if (s.state() == session_state::ended) return ended_answer(s);
  auto out = json_answer(
      {{"error",
        json_text(fmt::format("too many requests wait for the session {}", in_quotes(s.id())))},
       {"result", outcome_json(to_string(emit_result::overflow))}},
      503);
  out.headers.emplace_back("Retry-After", "1");
  return out;
}

net::http_response late_answer() {
  return error_answer(504,
                      "the session's actor did not answer in time: its loop is busy or stuck, or "
                      "its behaviour is; see loop_lag_us in /debug/tree");
}

net::http_response refusal_of(const spawned_session& made) {
  const auto answer = [&](unsigned status, std::string_view error) {
    json::object body{{"error", json_text(error)},
                      {"result", outcome_json(to_string(made.result))}};
    if (made.session) body["session"] = brief_json(made.session);
    auto out = json_answer(body, status);
    if (status == 503) out.headers.emplace_back("Retry-After", "1");
    return out;
  };
  switch (made.result) {
  case spawn_result::exists:
    return answer(409, fmt::format("id: there is a session {} already; give another id, or use "
                                   "that one (POST /api/issue_token)",
                                   in_quotes(made.session.id())));
  case spawn_result::too_many:
    return answer(503, "there are as many sessions as there may be (limits.max_sessions)");
  case spawn_result::shutting_down: return answer(503, "the server is going down");
  default: return answer(400, made.problem);
  }
}

/// Segment `from_end` of a path, counted from its end.
std::string segment(std::string_view path, int from_end) {
  for (; from_end > 0; --from_end) path = path.substr(0, path.rfind('/'));
  return std::string{path.substr(path.rfind('/') + 1)};
}

/// An outcome that may be known before the call that asked for it returns. Touched by one thread.
struct early {
  bool open = true;
  std::optional<emit_report> report;
};

}  // namespace

session_api::session_api(actors::backbone& backbone, std::shared_ptr<reply_desk> desk,
                         std::shared_ptr<log> logger, milliseconds snapshot_timeout,
                         milliseconds outcome_timeout)
    : backbone_(backbone),
      desk_(std::move(desk)),
      logger_(std::move(logger)),
      snapshot_timeout_(snapshot_timeout),
      outcome_timeout_(outcome_timeout) {
  for (const auto& type : backbone_.session_types()) types_[type->name] = *type->options;
}

namespace {

/// How it ended is said while that is known.
net::http_response has_ended(const std::string& id, const ended_session* was) {
  json::object body{{"error", json_text(fmt::format("the session {} has ended", in_quotes(id)))},
                    {"result", outcome_json(to_string(emit_result::ended))}};
  if (was) body["session"] = ended_json(*was);
  return json_answer(body, 410);
}

}  // namespace

net::http_response session_api::not_there(const std::string& id) const {
  if (const auto was = backbone_.find_ended_session(id)) return has_ended(id, was.get());
  return json_answer({{"error", json_text(fmt::format("there is no session {}; see /api/sessions",
                                                      in_quotes(id)))},
                      {"result", outcome_json(to_string(emit_result::no_such_session))}},
                     404);
}

// --- what changes something -----------------------------------------------------------------------------------------

const session_api::keyed* session_api::find_keyed(const std::string& key) const {
  if (key.empty()) return nullptr;
  const auto found = std::ranges::find(keyed_, key, &keyed::key);
  return found == keyed_.end() ? nullptr : &*found;
}

session_api::digest session_api::digest_of(std::string_view body) {
  digest out{};
  if (EVP_Digest(body.data(), body.size(), out.data(), nullptr, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error{"no SHA-256"};
  return out;
}

/// The first answer may never have arrived: a new token makes the same of the second.
void session_api::spawned_before(const keyed& before, net::respond respond) const {
  const session there{before.made.lock()};
  if (!there) return respond(has_ended(before.id, backbone_.find_ended_session(before.id).get()));
  auto answer = desk_->open(std::move(respond), outcome_timeout_, late_answer());
  there.issue_token([made = there, answer = std::move(answer)](const std::string& t) {
    answer(t.empty() ? no_token_answer(made) : json_answer(spawned_json(made, true, t), 200));
  });
}

void session_api::spawn(const net::http_request& request, net::respond respond) {
  if (types_.empty())
    return respond(error_answer(
        404, "no type of session is registered here; see server_options::session_types, or "
             "sessions.types of the program's configuration"));
  auto wanted = parse_spawn(request.body, types_);
  if (!wanted) return respond(bad_request(wanted.error()));
  const auto body = wanted->key.empty() ? digest{} : digest_of(request.body);
  if (const auto* const before = find_keyed(wanted->key)) {
    if (before->body != body)
      return respond(
          bad_request({"key", "used before, for another request; give each spawn its own"}));
    return spawned_before(*before, std::move(respond));
  }
  auto made = backbone_.spawn_session(wanted->type, std::move(wanted->how));
  if (!made) return respond(refusal_of(made));
  if (!wanted->key.empty()) {
    keyed entry{std::move(wanted->key), body, made.session.id(), made.session.core()};
    if (keyed_.size() < most_keyed)
      keyed_.push_back(std::move(entry));
    else
      keyed_[next_keyed_++ % most_keyed] = std::move(entry);
  }
  respond(json_answer(spawned_json(made.session, false, made.token), 201));
}

void session_api::emit(const net::http_request& request, net::respond respond) {
  auto wanted = parse_emit(request.body);
  if (!wanted) return respond(bad_request(wanted.error()));
  if (!protocol::valid_name(wanted->type))
    return respond(
        bad_request({"type", R"(give 1 to 64 letters, digits, ".", "_", ":", "-" or "/")"}));
  const auto there = backbone_.find_session(wanted->session);
  if (!there) return respond(not_there(wanted->session));
  if (wanted->wait) {
    const auto patience =
        wanted->how.acked ? wanted->how.ack_timeout + milliseconds{1'000} : outcome_timeout_;
    auto answer = desk_->open(
        std::move(respond), patience,
        pending_answer(fmt::format("it is in the stream and was not settled within {}: a client "
                                   "reads slowly or not at all; see /api/session/{}",
                                   in_words(patience), there.id())));
    return there.emit(wanted->type, std::move(wanted->data), std::move(wanted->how),
                      [answer, there](const emit_report& r) { answer(report_answer(r, there)); });
  }
  // Refusals are mostly known at once: then they are told, though nobody waits.
  auto known = std::make_shared<early>();
  there.emit(wanted->type, std::move(wanted->data), std::move(wanted->how),
             [known, loop = std::this_thread::get_id()](const emit_report& r) {
               if (std::this_thread::get_id() == loop && known->open) known->report = r;
             });
  known->open = false;
  if (known->report) return respond(report_answer(*known->report, there));
  respond(pending_answer(R"(it was accepted; ask with "wait": true to be told the outcome)"));
}

void session_api::end(const net::http_request& request, net::respond respond) {
  auto wanted = parse_end(request.body);
  if (!wanted) return respond(bad_request(wanted.error()));
  const auto there = backbone_.find_session(wanted->session);
  if (!there) return respond(not_there(wanted->session));
  if (logger_)
    (*logger_)(severity::info, "api.end_session",
               {{"by", std::string_view{request.peer}},
                {"session", std::string_view{wanted->session}},
                {"reason", std::string_view{wanted->reason}}});
  auto answer = desk_->open(std::move(respond), outcome_timeout_,
                            pending_answer("the session's actor has not come to it yet"));
  there.end(std::move(wanted->reason), [answer](const session_end& e) {
    auto result = outcome_json(to_string(session_state::ended));
    result["by"] = json_text(to_string(e.by));
    result["reason"] = json_text(e.reason);
    answer(json_answer({{"result", std::move(result)}}));
  });
}

void session_api::issue_token(const net::http_request& request, net::respond respond) {
  const auto wanted = parse_session(request.body);
  if (!wanted) return respond(bad_request(wanted.error()));
  const auto there = backbone_.find_session(*wanted);
  if (!there) return respond(not_there(*wanted));
  auto answer = desk_->open(std::move(respond), outcome_timeout_, late_answer());
  there.issue_token([answer, there](const std::string& token) {
    if (token.empty()) return answer(no_token_answer(there));
    answer(json_answer({{"session", json_text(there.id())}, {"token", json_text(token)}}));
  });
}

// --- what only looks ------------------------------------------------------------------------------------------------

void session_api::list(const net::http_request& request, net::respond respond) {
  auto query = parse_sessions_query(request.query);
  if (!query) return respond(bad_request(query.error()));
  json::object body;
  body["taken_at"] = json_text(rfc3339(now()));
  body["kept_bytes"] = backbone_.stream_bytes();  // of all, whatever the query
  body["max_total_stream_bytes"] = backbone_.limits().max_total_stream_bytes;
  const auto& q = *query;
  if (q.state == session_state::ended) {
    json::array rows;
    std::size_t matching = 0;
    for (const auto& e : backbone_.ended_sessions()) {
      if ((!q.type.empty() && e.type != q.type) || (q.user && e.user != *q.user)) continue;
      if (++matching <= q.limit) rows.push_back(ended_json(e));
    }
    body["matching"] = matching;
    body["returned"] = rows.size();
    body["next_cursor"] = nullptr;
    body["sessions"] = std::move(rows);
    return respond(json_answer(body));
  }
  auto all = backbone_.sessions();
  std::erase_if(all, [&](const session& s) {
    return (q.state && s.state() != *q.state) || (!q.type.empty() && s.type() != q.type) ||
           (q.user && s.user() != *q.user);
  });
  body["matching"] = all.size();
  std::ranges::sort(all, {}, &session::id);
  all.erase(all.begin(), std::ranges::upper_bound(all, q.cursor, {}, &session::id));
  const bool more = all.size() > q.limit;
  if (more) all.resize(q.limit);
  const auto cursor = more ? json::value(json_text(all.back().id())) : json::value(nullptr);
  backbone_.take_sessions(
      all, snapshot_timeout_,
      [respond, body = std::move(body), cursor](actors::backbone::sessions_snapshot taken) mutable {
        const auto at = now();
        json::array rows, unanswered;
        std::ranges::sort(taken.sessions, {}, &session_snapshot::id);
        for (const auto& s : taken.sessions) rows.push_back(row_json(s, at));
        for (const auto& id : taken.unanswered) unanswered.push_back(json_text(id));
        body["returned"] = rows.size();
        body["next_cursor"] = cursor;
        body["unanswered"] = std::move(unanswered);
        body["sessions"] = std::move(rows);
        respond(json_answer(body));
      });
}

void session_api::one(const net::http_request& request, net::respond respond) {
  const auto id = segment(request.path, 0);
  const auto there = backbone_.find_session(id);
  if (!there) {
    if (const auto was = backbone_.find_ended_session(id))
      return respond(json_answer(ended_json(*was)));
    return respond(not_there(id));
  }
  backbone_.take_sessions({there}, snapshot_timeout_,
                          [respond, there](const actors::backbone::sessions_snapshot& taken) {
                            if (!taken.sessions.empty())
                              return respond(
                                  json_answer(session_json(taken.sessions.front(), now())));
                            if (taken.unanswered.empty())
                              return respond(json_answer(brief_json(there)));  // just ended
                            respond(late_answer());
                          });
}

void session_api::inbox(const net::http_request& request, net::respond respond) {
  const auto query = parse_inbox_query(request.query);
  if (!query) return respond(bad_request(query.error()));
  const auto id = segment(request.path, 1);
  if (!backbone_.find_session(id) && !backbone_.find_ended_session(id))
    return respond(not_there(id));
  const auto patience = query->wait + snapshot_timeout_;
  auto answer = desk_->open(std::move(respond), patience, late_answer());
  backbone_.read_inbox(
      id, query->after, query->limit, query->wait, query->epoch,
      [answer, after = query->after](const inbox_page& p) { answer(inbox_answer(p, after)); });
}

}  // namespace fairlead::service
