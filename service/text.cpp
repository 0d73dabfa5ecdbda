#include "service/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace fairlead::service {
namespace {

using namespace std::chrono;

struct lead {
  unsigned char mask, pattern;
  std::size_t size;
  char32_t least;  // smaller ones are overlong
};
constexpr std::array<lead, 4> leads{
    {{0x80, 0x00, 1, 0}, {0xE0, 0xC0, 2, 0x80}, {0xF0, 0xE0, 3, 0x800}, {0xF8, 0xF0, 4, 0x10000}}};

/// Characters that change how what stands around them is shown.
bool deceptive(char32_t c) noexcept {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x61C || (c >= 0x200E && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

void append_escaped(std::string& out, char32_t c) {
  switch (c) {
  case '\n': out += "\\n"; return;
  case '\r': out += "\\r"; return;
  case '\t': out += "\\t"; return;
  default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<std::uint32_t>(c));
  }
}

/// Without what deceives; and with a backslash before each of `marks`.
std::string escaped(std::string_view text, std::string_view marks) {
  std::string out;
  while (!text.empty()) {
    const auto d = decode_utf8(text);
    if (!d.valid) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}",
                     static_cast<unsigned char>(text.front()));
    } else if (deceptive(d.code_point)) {
      append_escaped(out, d.code_point);
    } else {
      if (marks.find(text.front()) != std::string_view::npos) out += '\\';
      out += text.substr(0, d.size);
    }
    text.remove_prefix(d.size);
  }
  return out;
}

/// Levenshtein's distance: insertions, deletions and replacements that lead from one word to the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

decoded decode_utf8(std::string_view text) noexcept {
  const auto first = static_cast<unsigned char>(text.front());
  const auto form = std::find_if(leads.begin(), leads.end(),
                                 [&](const lead& l) { return (first & l.mask) == l.pattern; });
  if (form == leads.end() || text.size() < form->size) return {};
  char32_t c = first & static_cast<unsigned char>(~form->mask);
  for (std::size_t i = 1; i < form->size; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return {};
    c = (c << 6) | (next & 0x3F);
  }
  if (c < form->least || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return {};
  return {c, form->size, true};
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto d = decode_utf8(text);
    out += d.valid ? text.substr(0, d.size) : std::string_view{"\xEF\xBF\xBD"};
    text.remove_prefix(d.size);
  }
  return out;
}

std::string on_one_line(std::string_view text) { return escaped(text, {}); }

std::string in_quotes(std::string_view text) { return '"' + escaped(text, "\"\\") + '"'; }

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known) {
  // A third of the word may be wrong; beyond that a suggestion is a guess that misleads.
  std::size_t best = std::max<std::size_t>(2, word.size() / 3) + 1;
  std::optional<std::string_view> found;
  for (const auto candidate : known) {
    if (const auto d = distance(word, candidate); d < best && d < candidate.size()) {
      best = d;
      found = candidate;
    }
  }
  return found;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  const auto found = nearest(word, known);
  return found ? fmt::format("; did you mean \"{}\"?", *found) : std::string{};
}

std::string in_words(milliseconds d) {
  const auto ms = d.count();
  if (ms < 1'000) return fmt::format("{} ms", ms);
  if (ms < 60'000) return fmt::format("{}.{} s", ms / 1'000, ms % 1'000 / 100);
  const auto s = ms / 1'000;
  if (s < 3'600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {} min", s / 3'600, s % 3'600 / 60);
  return fmt::format("{} d {} h", s / 86'400, s % 86'400 / 3'600);
}

std::string bytes_in_words(std::uint64_t n) {
  constexpr std::uint64_t kilo = 1024;
  if (n == 1) return "1 byte";
  if (n < kilo) return fmt::format("{} bytes", n);
  const auto size = static_cast<double>(n);
  if (n < kilo * kilo) return fmt::format("{:.1f} KB", size / kilo);
  if (n < kilo * kilo * kilo) return fmt::format("{:.1f} MB", size / (kilo * kilo));
  return fmt::format("{:.1f} GB", size / (kilo * kilo * kilo));
}

std::optional<milliseconds> parse_duration(std::string_view text) noexcept {
  std::int64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || number < 0) return {};

  constexpr std::array<std::pair<std::string_view, std::int64_t>, 4> units{
      {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}}};
  constexpr std::int64_t longest = 1'000 * std::int64_t{3'600'000};
  for (const auto& [name, factor] : units) {
    if (std::string_view{rest, static_cast<std::size_t>(end - rest)} == name &&
        number <= longest / factor) {
      return milliseconds{number * factor};
    }
  }
  return {};
}

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> all;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    auto one = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (!one.empty()) all.emplace_back(one);
  }
  return all;
}

}  // namespace fairlead::service
