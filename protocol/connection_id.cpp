#include <charconv>

#include <fairlead/connection.hpp>

namespace fairlead {
namespace {

/// Takes a decimal number without sign or leading zeros from the front of `text`: one id has one spelling.
template <class Number>
std::optional<Number> take_number(std::string_view& text) noexcept {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (error != std::errc{} || (text.front() == '0' && digits > 1)) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char expected) noexcept {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string to_string(connection_id id) {
  return "c" + std::to_string(id.loop) + "-" + std::to_string(id.serial);
}

std::optional<connection_id> parse_connection_id(std::string_view text) noexcept {
  if (!take(text, 'c')) return std::nullopt;
  const auto loop = take_number<std::uint16_t>(text);
  if (!loop || !take(text, '-')) return std::nullopt;
  const auto serial = take_number<std::uint64_t>(text);
  if (!serial || *serial == 0 || !text.empty()) return std::nullopt;
  return connection_id{*loop, *serial};
}

}  // namespace fairlead
