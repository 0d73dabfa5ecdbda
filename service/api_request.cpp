#include "service/api_request.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <boost/json/parser.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "service/text.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;
using names = std::span<const std::string_view>;

problem not_json(std::string_view body, std::size_t at, std::string_view what) {
  const auto before = body.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto column = at - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0: the first line
  return {"body", fmt::format("{} at line {}, column {} (byte {}); send one JSON object", what,
                              line, column, at)};
}

parsed<json::object> parse_object(std::string_view body) {
  json::parser parser;
  json::error_code error;
  const auto used = parser.write_some(body.data(), body.size(), error);
  if (error == json::error::incomplete && body.empty())
    return problem{"body", "empty; send one JSON object"};
  if (error) return not_json(body, used, error.message());
  if (used < body.size()) return not_json(body, used, "more text after the JSON value");
  auto value = parser.release();
  if (auto* object = value.if_object()) return std::move(*object);
  return problem{"body", fmt::format("a JSON {}; send an object", json::to_string(value.kind()))};
}

std::optional<problem> unknown_field(const json::object& object, names known,
                                     std::string_view prefix = "") {
  for (const auto& field : object) {
    const std::string_view name{field.key().data(), field.key().size()};
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return problem{fmt::format("{}{}", prefix, name),
                   fmt::format("there is no such field{}; known are {}", did_you_mean(name, known),
                               fmt::join(known, ", "))};
  }
  return {};
}

/// The body as an object that has no field but the known ones.
parsed<json::object> fields(std::string_view body, names known) {
  auto object = parse_object(body);
  if (!object) return object.error();
  if (auto wrong = unknown_field(*object, known)) return std::move(*wrong);
  return object;
}

parsed<std::string> text_of(const json::value& value, std::string where) {
  if (const auto* text = value.if_string()) return std::string{text->data(), text->size()};
  return problem{std::move(where),
                 fmt::format("a JSON {}; give a string", json::to_string(value.kind()))};
}

parsed<connection_id> id_of(const json::value& value, std::string where) {
  const auto text = text_of(value, where);
  if (!text) return text.error();
  if (const auto id = parse_connection_id(*text)) return *id;
  return problem{std::move(where),
                 fmt::format("{} is no connection id; give one such as \"c0-17\", from "
                             "/debug/connections",
                             in_quotes(*text))};
}

parsed<addressee> addressee_of(const json::object& body) {
  const auto* client = body.if_contains("client");
  const auto* user = body.if_contains("user");
  if (client && user) return problem{"client", "given together with user; give one of the two"};
  if (client) {
    const auto id = id_of(*client, "client");
    if (!id) return id.error();
    return addressee{*id};
  }
  if (!user)
    return problem{"client", "missing; give client (a connection id) or user (a user's name)"};
  auto name = text_of(*user, "user");
  if (!name) return name.error();
  if (name->empty())
    return problem{"user", "empty; anonymous connections can be reached by client only"};
  return addressee{std::move(*name)};
}

parsed<message> data_of(const json::object& body) {
  const auto* data = body.if_contains("data");
  if (!data) return problem{"data", "missing; give a string, or any JSON value to be sent as JSON"};
  if (const auto* text = data->if_string()) return message::text({text->data(), text->size()});
  return message::text(json::serialize(*data));
}

parsed<std::vector<connection_id>> except_of(const json::object& body) {
  std::vector<connection_id> ids;
  const auto* except = body.if_contains("except");
  if (!except) return ids;
  const auto* list = except->if_array();
  if (!list) {
    return problem{"except", fmt::format("a JSON {}; give an array of connection ids",
                                         json::to_string(except->kind()))};
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto id = id_of((*list)[i], fmt::format("except[{}]", i));
    if (!id) return id.error();
    ids.push_back(*id);
  }
  return ids;
}

parsed<bool> flag_of(const json::object& body, std::string_view name) {
  const auto* given = body.if_contains(name);
  if (!given) return false;
  if (const auto* flag = given->if_bool()) return *flag;
  return problem{std::string{name},
                 fmt::format("a JSON {}; give true or false", json::to_string(given->kind()))};
}

std::optional<problem> read_ttl(const json::object& body, send_options& how) {
  constexpr std::int64_t a_day = 24 * 60 * 60 * 1000;
  const auto* given = body.if_contains("ttl_ms");
  if (!given) return {};
  json::error_code error;
  const auto ms = given->to_number<std::int64_t>(error);
  if (error || ms < 1 || ms > a_day) {
    return problem{"ttl_ms", fmt::format("{}; give a whole number of milliseconds from 1 to {}",
                                         json::serialize(*given), a_day)};
  }
  how.ttl = std::chrono::milliseconds{ms};
  return {};
}

std::optional<problem> read_policy(const json::object& body, send_options& how) {
  const auto* given = body.if_contains("policy");
  if (!given) return {};
  const auto name = text_of(*given, "policy");
  if (!name) return name.error();
  how.policy = parse_slow_policy(*name);
  if (how.policy) return {};
  return problem{"policy",
                 fmt::format("{} is no policy; give disconnect, drop_newest, drop_oldest or "
                             "keep_latest",
                             in_quotes(*name))};
}

std::optional<problem> read_key(const json::object& body, send_options& how) {
  const bool keeps_latest = how.policy == slow_policy::keep_latest;
  const auto* given = body.if_contains("key");
  if (!given) {
    if (!keeps_latest) return {};
    return problem{"key", "missing; keep_latest needs one: what has the same key is replaced"};
  }
  auto key = text_of(*given, "key");
  if (!key) return key.error();
  if (key->empty() || key->size() > longest_key)
    return problem{"key", fmt::format("{} bytes; give 1 to {}", key->size(), longest_key)};
  if (how.policy && !keeps_latest)
    return problem{"key", fmt::format("given with policy {}; only keep_latest replaces by key",
                                      to_string(*how.policy))};
  how.key = std::move(*key);
  return {};
}

/// Fills in `how` and `wait`.
template <class Request>
std::optional<problem> read_options(const json::object& body, Request& request) {
  const auto wait = flag_of(body, "wait");
  if (!wait) return wait.error();
  request.wait = *wait;
  const auto refused_ids = flag_of(body, "refused_ids");
  if (!refused_ids) return refused_ids.error();
  if (*refused_ids && !*wait)
    return problem{"refused_ids",
                   "given without wait; who refused is known with the outcomes only"};
  request.how.refused_ids = *refused_ids ? most_refused_ids : 0;
  if (auto wrong = read_ttl(body, request.how)) return wrong;
  if (auto wrong = read_policy(body, request.how)) return wrong;
  return read_key(body, request.how);
}

parsed<close_code> code_of(const json::value& value, std::string where) {
  json::error_code error;
  const auto number = value.to_number<std::uint16_t>(error);
  if (!error && may_be_sent(close_code{number})) return close_code{number};
  return problem{
      std::move(where),
      fmt::format(
          "{} may not be sent in a Close frame; give 1000 to 1003, 1007 to 1009, 1011 to 1014, or "
          "3000 to 4999 (RFC 6455 7.4)",
          json::serialize(value))};
}

parsed<std::string> reason_of(const json::value& value, std::string where) {
  auto reason = text_of(value, where);
  if (!reason || valid_close_reason(*reason)) return reason;
  return problem{std::move(where),
                 fmt::format("{} bytes; a Close frame holds at most {} (RFC 6455 5.5)",
                             reason->size(), max_close_reason)};
}

/// Sets `out` to the whole number in this field, if there is one.
template <class Number>
std::optional<problem> read_number(const json::object& body, std::string_view name,
                                   std::uint32_t least, Number& out) {
  const auto* given = body.if_contains(name);
  if (!given) return {};
  json::error_code error;
  const auto number = given->to_number<std::uint32_t>(error);
  constexpr std::uint32_t most = 86'400'000;  // a day of milliseconds
  if (!error && number >= least && number <= most) {
    out = Number{number};
    return {};
  }
  return problem{std::string{name}, fmt::format("{}; give a whole number from {} to {}",
                                                json::serialize(*given), least, most)};
}

/// Fills in code and reason from the `disconnect` object.
std::optional<problem> read_close(const json::value& value, disconnect_request& request) {
  static constexpr std::array<std::string_view, 2> known{"code", "reason"};
  const auto* how = value.if_object();
  if (!how) {
    return problem{
        "disconnect",
        fmt::format("a JSON {}; give an object such as {{\"code\": 1000, \"reason\": \"bye\"}}",
                    json::to_string(value.kind()))};
  }
  if (auto wrong = unknown_field(*how, known, "disconnect.")) return wrong;
  if (const auto* given = how->if_contains("code")) {
    const auto code = code_of(*given, "disconnect.code");
    if (!code) return code.error();
    request.code = *code;
  }
  if (const auto* given = how->if_contains("reason")) {
    auto reason = reason_of(*given, "disconnect.reason");
    if (!reason) return reason.error();
    request.reason = std::move(*reason);
  }
  return {};
}

}  // namespace

parsed<send_request> parse_send(std::string_view body) {
  static constexpr std::array<std::string_view, 8> known{"client", "user", "data", "ttl_ms",
                                                         "policy", "key",  "wait", "refused_ids"};
  const auto object = fields(body, known);
  if (!object) return object.error();
  auto to = addressee_of(*object);
  if (!to) return to.error();
  auto data = data_of(*object);
  if (!data) return data.error();
  send_request request{.to = std::move(*to), .data = std::move(*data)};
  if (auto wrong = read_options(*object, request)) return std::move(*wrong);
  if (request.how.refused_ids > 0 && std::holds_alternative<connection_id>(request.to))
    return problem{"refused_ids", "given with client; the outcome of one connection says it all"};
  return request;
}

parsed<send_all_request> parse_send_all(std::string_view body) {
  static constexpr std::array<std::string_view, 7> known{"data", "except", "ttl_ms",     "policy",
                                                         "key",  "wait",   "refused_ids"};
  const auto object = fields(body, known);
  if (!object) return object.error();
  auto data = data_of(*object);
  if (!data) return data.error();
  auto except = except_of(*object);
  if (!except) return except.error();
  send_all_request request{.data = std::move(*data), .except = std::move(*except)};
  if (auto wrong = read_options(*object, request)) return std::move(*wrong);
  return request;
}

parsed<disconnect_request> parse_disconnect(std::string_view body) {
  static constexpr std::array<std::string_view, 3> known{"client", "user", "disconnect"};
  const auto object = fields(body, known);
  if (!object) return object.error();
  auto whom = addressee_of(*object);
  if (!whom) return whom.error();
  disconnect_request request{.whom = std::move(*whom), .code = close_code::normal, .reason = {}};
  if (const auto* how = object->if_contains("disconnect")) {
    if (auto wrong = read_close(*how, request)) return std::move(*wrong);
  }
  return request;
}

parsed<drain_options> parse_drain(std::string_view body, drain_options how) {
  static constexpr std::array<std::string_view, 6> known{"timeout_ms", "grace_ms", "spread_ms",
                                                         "rate",       "code",     "reason"};
  const auto object = fields(body.empty() ? "{}" : body, known);
  if (!object) return object.error();
  if (auto wrong = read_number(*object, "timeout_ms", 0, how.timeout)) return std::move(*wrong);
  if (auto wrong = read_number(*object, "grace_ms", 0, how.grace)) return std::move(*wrong);
  if (auto wrong = read_number(*object, "spread_ms", 0, how.spread)) return std::move(*wrong);
  if (auto wrong = read_number(*object, "rate", 1, how.rate)) return std::move(*wrong);
  if (const auto* given = object->if_contains("code")) {
    const auto code = code_of(*given, "code");
    if (!code) return code.error();
    how.code = *code;
  }
  if (const auto* given = object->if_contains("reason")) {
    auto reason = reason_of(*given, "reason");
    if (!reason) return reason.error();
    how.reason = std::move(*reason);
  }
  if (how.grace > std::chrono::milliseconds{0} && how.grace >= how.timeout) {
    return problem{"grace_ms", fmt::format("{} ms leave no time to close connections; give less "
                                           "than timeout_ms, {}",
                                           how.grace.count(), how.timeout.count())};
  }
  return how;
}

}  // namespace fairlead::service
