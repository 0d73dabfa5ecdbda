#include "service/log_line.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "service/text.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;

/// Five letters each, so that events stand below each other.
std::string_view column(severity s) noexcept {
  switch (s) {
  case severity::debug: return "DEBUG";
  case severity::info: return "INFO ";
  case severity::warning: return "WARN ";
  case severity::error: return "ERROR";
  }
  return "?????";
}

bool plain(unsigned char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         std::string_view{"-._:/@+,[]"}.find(static_cast<char>(c)) != std::string_view::npos;
}

std::string human_value(const log_field& field) {
  return std::visit(
      [](const auto& value) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string_view>) {
          if (!value.empty() && std::all_of(value.begin(), value.end(), plain))
            return std::string{value};
          return in_quotes(value);
        } else {
          return fmt::format("{}", value);
        }
      },
      field.value);
}

json::value json_value(const log_field& field) {
  return std::visit(
      [](const auto& value) -> json::value {
        using kind = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<kind, std::string_view>) {
          return json::value(valid_utf8(value));
        } else if constexpr (std::is_same_v<kind, double>) {
          if (!std::isfinite(value)) return nullptr;  // JSON has no number for it
          return json::value(value);
        } else {
          return json::value(value);
        }
      },
      field.value);
}

}  // namespace

std::string human_line(wall_clock_time when, severity s, std::string_view event,
                       std::span<const log_field> fields) {
  auto line = fmt::format("{} {} {}", rfc3339(when), column(s), event);
  for (const auto& field : fields) {
    fmt::format_to(std::back_inserter(line), " {}={}", field.key, human_value(field));
  }
  return line;
}

std::string json_line(wall_clock_time when, severity s, std::string_view event,
                      std::span<const log_field> fields) {
  json::object line{{"time", rfc3339(when)}, {"severity", to_string(s)}, {"event", event}};
  for (const auto& field : fields) line[field.key] = json_value(field);
  return json::serialize(line);
}

}  // namespace fairlead::service
