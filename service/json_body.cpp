#include "service/json_body.hpp"

#include <algorithm>

#include <boost/json/parser.hpp>
#include <fmt/ranges.h>

#include <fairlead/close.hpp>

#include "service/text.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;

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

}  // namespace

std::optional<problem> unknown_field(const json::object& object, names known,
                                     std::string_view prefix) {
  for (const auto& field : object) {
    const std::string_view name{field.key().data(), field.key().size()};
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (name.empty() && prefix.empty())
      return problem{"body",
                     fmt::format("a field without a name; known are {}", fmt::join(known, ", "))};
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

parsed<bool> flag_of(const json::object& body, std::string_view name) {
  const auto* given = body.if_contains(name);
  if (!given) return false;
  if (const auto* flag = given->if_bool()) return *flag;
  return problem{std::string{name},
                 fmt::format("a JSON {}; give true or false", json::to_string(given->kind()))};
}

parsed<std::string> reason_of(const json::value& value, std::string where) {
  auto reason = text_of(value, where);
  if (!reason || valid_close_reason(*reason)) return reason;
  return problem{std::move(where),
                 fmt::format("{} bytes; a Close frame holds at most {} (RFC 6455 5.5)",
                             reason->size(), max_close_reason)};
}

}  // namespace fairlead::service
