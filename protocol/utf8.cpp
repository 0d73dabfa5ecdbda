#include "protocol/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace fairlead::protocol {
namespace {

/// What a lead byte announces: how many bytes follow, and what the first of them may be. That one range is where
/// overlong forms, surrogates and values past U+10FFFF are excluded (RFC 3629 section 4, UTF8-2 to UTF8-4).
struct sequence {
  std::size_t continuations;
  unsigned char low;
  unsigned char high;
};
constexpr sequence malformed{0, 0, 0};

constexpr sequence announced_by(unsigned char lead) noexcept {
  if (lead < 0xc2)
    return malformed;  // a continuation, or C0 and C1, which only start overlong forms
  if (lead < 0xe0) return {1, 0x80, 0xbf};
  if (lead == 0xe0) return {2, 0xa0, 0xbf};
  if (lead == 0xed) return {2, 0x80, 0x9f};  // surrogates are U+D800 and up
  if (lead < 0xf0) return {2, 0x80, 0xbf};
  if (lead == 0xf0) return {3, 0x90, 0xbf};
  if (lead < 0xf4) return {3, 0x80, 0xbf};
  if (lead == 0xf4) return {3, 0x80, 0x8f};
  return malformed;
}

constexpr bool is_continuation(unsigned char c) noexcept { return (c & 0xc0) == 0x80; }

/// Most text is ASCII: eight bytes at a look. Returns how far it got.
std::size_t skip_ascii(std::string_view bytes, std::size_t at) noexcept {
  for (std::uint64_t word = 0; at + sizeof word <= bytes.size(); at += sizeof word) {
    std::memcpy(&word, bytes.data() + at, sizeof word);
    if ((word & 0x8080808080808080u) != 0) break;
  }
  while (at < bytes.size() && static_cast<unsigned char>(bytes[at]) < 0x80) ++at;
  return at;
}

}  // namespace

bool valid_utf8(std::string_view bytes) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  for (std::size_t at = skip_ascii(bytes, 0); at < bytes.size(); at = skip_ascii(bytes, at)) {
    const auto [continuations, low, high] = announced_by(byte(at));
    if (continuations == 0 || bytes.size() - at <= continuations) return false;
    if (byte(at + 1) < low || byte(at + 1) > high) return false;
    for (std::size_t i = 2; i <= continuations; ++i) {
      if (!is_continuation(byte(at + i))) return false;
    }
    at += continuations + 1;
  }
  return true;
}

std::string_view clip_utf8(std::string_view text, std::size_t most) noexcept {
  if (text.size() <= most) return text;
  while (most > 0 && is_continuation(static_cast<unsigned char>(text[most]))) --most;
  return text.substr(0, most);
}

}  // namespace fairlead::protocol
