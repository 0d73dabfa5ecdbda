#include "service/session_request.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "protocol/session_options.hpp"
#include "service/json_body.hpp"
#include "service/text.hpp"
#include "service/url_query.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;

std::optional<problem> read_text(const json::object& body, std::string_view name,
                                 std::string& out) {
  const auto* given = body.if_contains(name);
  if (!given) return {};
  auto text = text_of(*given, std::string{name});
  if (!text) return text.error();
  out = std::move(*text);
  return {};
}

parsed<std::string> required(const json::object& body, std::string_view name,
                             std::string_view form) {
  std::string text;
  if (auto wrong = read_text(body, name, text)) return std::move(*wrong);
  if (text.empty()) return problem{std::string{name}, fmt::format("missing; give {}", form)};
  return text;
}

parsed<std::string> session_of(const json::object& body) {
  return required(body, "session", "the id of a session, from /api/spawn_session");
}

std::optional<problem> read_key(const json::object& body, std::string& out) {
  if (!body.contains("key")) return {};
  if (auto wrong = read_text(body, "key", out)) return wrong;
  if (!out.empty() && out.size() <= longest_request_key) return {};
  return problem{"key", fmt::format("{} bytes; give 1 to {}", out.size(), longest_request_key)};
}

/// Sets `out` to whether the second of two names is given.
template <class Enum>
std::optional<problem> read_choice(const json::object& body, std::string_view name,
                                   std::string_view no, std::string_view yes, Enum& out) {
  if (!body.contains(name)) return {};
  std::string text;
  if (auto wrong = read_text(body, name, text)) return wrong;
  if (text != no && text != yes)
    return problem{fmt::format("options.{}", name),
                   fmt::format("{} is none of {}, {}", in_quotes(text), no, yes)};
  out = static_cast<Enum>(text == yes ? 1 : 0);
  return {};
}

std::optional<problem> read_session_options(const json::value& value, session_options& out) {
  static constexpr std::array<std::string_view, 14> known{
      "max_messages",     "max_bytes",    "replay_window_ms",  "attach_timeout_ms",
      "resume_window_ms", "max_age_ms",   "token_lifetime_ms", "on_second_socket",
      "max_sockets",      "on_failure",   "max_restarts",      "restart_period_ms",
      "max_inbox",        "on_owner_gone"};
  const auto* given = value.if_object();
  if (!given)
    return problem{"options", fmt::format("a JSON {}; give an object such as "
                                          "{{\"resume_window_ms\": 60000}}",
                                          json::to_string(value.kind()))};
  if (auto wrong = unknown_field(*given, known, "options.")) return wrong;
  // The ranges are those of session_options_problem, which is asked last.
  constexpr std::uint64_t any = std::uint64_t{1} << 40U;
  std::uint64_t restarts = out.max_restarts;
  std::optional<problem> wrong;
  const auto number = [&](std::string_view name, auto& member) {
    if (!wrong) wrong = read_number(*given, name, 0, member, any);
  };
  number("max_messages", out.max_messages);
  number("max_bytes", out.max_bytes);
  number("replay_window_ms", out.replay_window);
  number("attach_timeout_ms", out.attach_timeout);
  number("resume_window_ms", out.resume_window);
  number("max_age_ms", out.max_age);
  number("token_lifetime_ms", out.token_lifetime);
  number("max_sockets", out.max_sockets);
  number("max_restarts", restarts);
  number("restart_period_ms", out.restart_period);
  number("max_inbox", out.max_inbox);
  if (wrong) return problem{"options." + wrong->where, wrong->what};
  out.max_restarts = static_cast<std::uint32_t>(std::min<std::uint64_t>(restarts, UINT32_MAX));
  if (auto bad =
          read_choice(*given, "on_second_socket", "takes_over", "joins", out.on_second_socket))
    return bad;
  if (auto bad = read_choice(*given, "on_owner_gone", "ends", "lingers", out.on_owner_gone))
    return bad;
  if (auto bad = read_choice(*given, "on_failure", "ends", "restarts", out.on_failure)) return bad;
  if (auto text = protocol::session_options_problem(out); !text.empty())
    return problem{"options", std::move(text)};
  return {};
}

std::optional<problem> read_metadata(const json::value& value, spawn_options& out) {
  const auto* given = value.if_object();
  if (!given)
    return problem{"metadata", fmt::format("a JSON {}; give an object of strings",
                                           json::to_string(value.kind()))};
  for (const auto& [name, what] : *given) {
    auto text = text_of(what, fmt::format("metadata.{}", std::string_view{name}));
    if (!text) return text.error();
    out.metadata.emplace_back(name, std::move(*text));
  }
  return {};
}

parsed<session_state> parse_state(std::string_view text) {
  std::vector<std::string_view> known;
  for (std::size_t i = 0; i < session_state_count; ++i) {
    const auto state = static_cast<session_state>(i);
    if (to_string(state) == text) return state;
    known.push_back(to_string(state));
  }
  return problem{"state", fmt::format("{} is no state{}; give one of {}", in_quotes(text),
                                      did_you_mean(text, known), fmt::join(known, ", "))};
}

}  // namespace

parsed<spawn_request> parse_spawn(std::string_view body, const types_defaults& types) {
  static constexpr std::array<std::string_view, 7> known{"type",     "id",      "user", "arguments",
                                                         "metadata", "options", "key"};
  const auto object = fields(body, known);
  if (!object) return object.error();
  std::vector<std::string_view> registered;
  for (const auto& [name, defaults] : types) registered.push_back(name);
  const auto form = fmt::format("a registered type: {}", fmt::join(registered, ", "));
  auto type = required(*object, "type", form);
  if (!type) return type.error();
  const auto there = types.find(*type);
  if (there == types.end())
    return problem{"type", fmt::format("{} is not registered{}; give {}", in_quotes(*type),
                                       did_you_mean(*type, registered), form)};
  spawn_request request{.type = std::move(*type), .how = {}, .key = {}};
  if (auto wrong = read_text(*object, "id", request.how.id)) return std::move(*wrong);
  if (auto wrong = read_text(*object, "user", request.how.user)) return std::move(*wrong);
  if (auto wrong = read_key(*object, request.key)) return std::move(*wrong);
  if (const auto* given = object->if_contains("arguments"))
    request.how.arguments =
        given->is_string() ? std::string{given->get_string()} : json::serialize(*given);
  if (const auto* given = object->if_contains("metadata"))
    if (auto wrong = read_metadata(*given, request.how)) return std::move(*wrong);
  if (const auto* given = object->if_contains("options")) {
    auto options = there->second;
    if (auto wrong = read_session_options(*given, options)) return std::move(*wrong);
    request.how.options = std::make_shared<const session_options>(options);
  }
  return request;
}

parsed<emit_request> parse_emit(std::string_view body) {
  static constexpr std::array<std::string_view, 7> known{"session", "type",  "data",          "key",
                                                         "wait",    "acked", "ack_timeout_ms"};
  const auto object = fields(body, known);
  if (!object) return object.error();
  auto session = session_of(*object);
  if (!session) return session.error();
  auto type = required(*object, "type", "the event's name");
  if (!type) return type.error();
  const auto* data = object->if_contains("data");
  if (!data) return problem{"data", "missing; give any JSON value"};
  emit_request request{.session = std::move(*session),
                       .type = std::move(*type),
                       .data = json::serialize(*data),
                       .how = {}};
  if (auto wrong = read_key(*object, request.how.key)) return std::move(*wrong);
  const auto wait = flag_of(*object, "wait"), acked = flag_of(*object, "acked");
  if (!wait) return wait.error();
  if (!acked) return acked.error();
  request.wait = *wait || *acked;
  request.how.acked = *acked;
  if (!*acked && object->contains("ack_timeout_ms"))
    return problem{"ack_timeout_ms", R"(given without "acked": true, whose time-out it is)"};
  if (auto wrong = read_number(*object, "ack_timeout_ms", 1, request.how.ack_timeout,
                               static_cast<std::uint64_t>(longest_ack_wait.count())))
    return std::move(*wrong);
  return request;
}

parsed<end_request> parse_end(std::string_view body) {
  static constexpr std::array<std::string_view, 2> known{"session", "reason"};
  const auto object = fields(body, known);
  if (!object) return object.error();
  auto session = session_of(*object);
  if (!session) return session.error();
  end_request request{.session = std::move(*session), .reason = "ended"};
  if (const auto* given = object->if_contains("reason")) {
    auto reason = reason_of(*given, "reason");
    if (!reason) return reason.error();
    request.reason = std::move(*reason);
  }
  return request;
}

parsed<std::string> parse_session(std::string_view body) {
  static constexpr std::array<std::string_view, 1> known{"session"};
  const auto object = fields(body, known);
  if (!object) return object.error();
  return session_of(*object);
}

parsed<sessions_query> parse_sessions_query(std::string_view query) {
  static constexpr std::array<std::string_view, 5> known{"state", "type", "user", "limit",
                                                         "cursor"};
  const auto given = parameters(query, known);
  if (!given) return given.error();
  sessions_query q;
  for (const auto& p : *given) {
    if (p.name == "user") q.user = p.value;
    if (p.value.empty()) continue;
    if (p.name == "type") q.type = p.value;
    if (p.name == "cursor") q.cursor = p.value;
    if (p.name == "state") {
      const auto state = parse_state(p.value);
      if (!state) return state.error();
      q.state = *state;
    }
    if (p.name == "limit") {
      const auto limit = parse_limit(p.value);
      if (!limit) return limit.error();
      q.limit = *limit;
    }
  }
  return q;
}

parsed<inbox_query> parse_inbox_query(std::string_view query) {
  static constexpr std::array<std::string_view, 4> known{"after", "limit", "wait_ms", "epoch"};
  const auto given = parameters(query, known);
  if (!given) return given.error();
  inbox_query q;
  for (const auto& p : *given) {
    if (p.value.empty()) continue;
    if (p.name == "epoch") {
      q.epoch = p.value;
      continue;
    }
    if (p.name == "limit") {
      const auto limit = parse_limit(p.value);
      if (!limit) return limit.error();
      q.limit = *limit;
      continue;
    }
    const auto most = p.name == "after" ? std::uint64_t{1} << 63U
                                        : static_cast<std::uint64_t>(longest_inbox_wait.count());
    const auto n = number<std::uint64_t>(p.value);
    if (!n || *n > most)
      return problem{p.name, fmt::format("{} is out of range; give a whole number from 0 to {}",
                                         in_quotes(p.value), most)};
    if (p.name == "after")
      q.after = *n;
    else
      q.wait = std::chrono::milliseconds{*n};
  }
  return q;
}

}  // namespace fairlead::service
