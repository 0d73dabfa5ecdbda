#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "service/problem.hpp"

/// What the queries of all requests have in common: known names, each once. Pure.
namespace fairlead::service {

struct parameter {
  std::string name, value;
};

/// The decoded parameters; a problem for an unknown name, a repeated one or a bad escape.
[[nodiscard]] parsed<std::vector<parameter>> parameters(std::string_view query,
                                                        std::span<const std::string_view> known);

inline constexpr std::size_t most_rows = 1000;
/// How many rows a page has: 1 to `most_rows`.
[[nodiscard]] parsed<std::size_t> parse_limit(std::string_view);

/// A whole number and nothing else.
template <class Number>
std::optional<Number> number(std::string_view text) noexcept {
  Number n{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || rest != text.data() + text.size()) return {};
  return n;
}

}  // namespace fairlead::service
