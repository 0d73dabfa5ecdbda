#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "service/problem.hpp"

/// What the bodies of all requests have in common: one JSON object, every field of it known. Pure.
namespace fairlead::service {

using names = std::span<const std::string_view>;

/// The body as an object that has no field but the known ones.
[[nodiscard]] parsed<boost::json::object> fields(std::string_view body, names known);
[[nodiscard]] std::optional<problem> unknown_field(const boost::json::object&, names known,
                                                   std::string_view prefix = "");
[[nodiscard]] parsed<std::string> text_of(const boost::json::value&, std::string where);
/// False where it is not given.
[[nodiscard]] parsed<bool> flag_of(const boost::json::object&, std::string_view name);
/// What a Close frame can hold (RFC 6455 5.5).
[[nodiscard]] parsed<std::string> reason_of(const boost::json::value&, std::string where);

inline constexpr std::uint64_t a_day_in_ms = 86'400'000;

/// Sets `out` to the whole number in this field, if there is one.
template <class Number>
std::optional<problem> read_number(const boost::json::object& body, std::string_view name,
                                   std::uint64_t least, Number& out,
                                   std::uint64_t most = a_day_in_ms) {
  const auto* given = body.if_contains(name);
  if (!given) return {};
  boost::json::error_code error;
  const auto number = given->to_number<std::uint64_t>(error);
  if (!error && number >= least && number <= most) {
    out = Number(number);
    return {};
  }
  return problem{std::string{name}, fmt::format("{}; give a whole number from {} to {}",
                                                boost::json::serialize(*given), least, most)};
}

}  // namespace fairlead::service
