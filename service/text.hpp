#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/rfc3339.hpp"

/// Text that comes from outside, made fit to be shown; times and durations, as all of Fairlead writes them.
namespace fairlead::service {

/// One step through bytes that should be UTF-8.
struct decoded {
  char32_t code_point = 0;  ///< meaningless unless `valid`
  std::size_t size = 1;     ///< bytes taken; 1 where they are no UTF-8
  bool valid = false;
};
/// Decodes the first code point (RFC 3629: no overlong forms, no surrogates). `text` must not be empty.
[[nodiscard]] decoded decode_utf8(std::string_view text) noexcept;

/// The same text with every byte that is no UTF-8 replaced by U+FFFD: JSON can hold nothing else (RFC 8259 8.1).
[[nodiscard]] std::string valid_utf8(std::string_view text);

/// On one line, in double quotes, with nothing in it that could end the line, move the cursor or reorder what is read:
/// quotes, backslashes, control characters, line separators, direction overrides and bad UTF-8 are escaped.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// The same for a text that others have put together around such text: no quotes, and those in it stay.
[[nodiscard]] std::string on_one_line(std::string_view text);

/// The member of `known` that `word` most resembles, or nothing if none is close enough to be what was meant.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      std::span<const std::string_view> known);
/// `; did you mean "limit"?`, or an empty string.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string_view> known);

using protocol::rfc3339;

/// For people: `250 ms`, `3.2 s`, `4 min 5 s`, `2 h 10 min`, `3 d 4 h`.
[[nodiscard]] std::string in_words(std::chrono::milliseconds);
/// For people: `12 bytes`, `1.5 KB` (1,024 bytes each), `3.0 MB`.
[[nodiscard]] std::string bytes_in_words(std::uint64_t);

/// A duration as settings write it: a whole number and a unit (`500ms`, `10s`, `2m`, `1h`). Nothing if it is none, or
/// longer than 1,000 hours.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view) noexcept;
/// The members of a list `a, b,c`: without the spaces around them, and without empty ones.
[[nodiscard]] std::vector<std::string> split_list(std::string_view);

/// What `parse_duration` accepts, for error messages.
inline constexpr std::string_view duration_form =
    R"(a duration such as "500ms", "10s", "2m" or "1h")";

}  // namespace fairlead::service
