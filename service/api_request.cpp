#include "service/api_request.hpp"

#include <array>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "service/json_body.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;
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
