#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <fairlead/close.hpp>
#include <fairlead/limits.hpp>

/// Server frames: whole (FIN set) and unmasked (RFC 6455 5.2).
namespace fairlead::protocol {

enum class opcode : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

inline constexpr std::size_t max_frame_header = 10;

/// The header's length before so many payload bytes: the shortest form is the only one allowed (RFC 6455 5.2).
[[nodiscard]] constexpr std::size_t frame_header_size(std::size_t payload) noexcept {
  return payload < 126 ? 2 : payload <= 0xffff ? 4 : 10;
}

/// The payload of a whole frame of so many bytes: the inverse of `payload + frame_header_size(payload)`.
[[nodiscard]] constexpr std::size_t frame_payload_size(std::size_t frame) noexcept {
  return frame - (frame < 2 + 126 ? 2 : frame <= 4 + 0xffff ? 4 : 10);
}

/// The largest frame that these limits let out. A message that no empty queue could hold is too large, not too many.
[[nodiscard]] constexpr std::size_t largest_frame(const limits& l) noexcept {
  if (l.max_send_size >= l.max_queued_bytes) return l.max_queued_bytes;
  return std::min(l.max_send_size + frame_header_size(l.max_send_size), l.max_queued_bytes);
}

/// Writes a header and returns its length. `out` has room for `frame_header_size(payload)`.
std::size_t write_frame_header(char* out, opcode, std::size_t payload) noexcept;

/// Whether the frame that starts with this byte is a Close frame (RFC 6455 5.5.1).
[[nodiscard]] constexpr bool is_close(char first_byte) noexcept {
  return (static_cast<unsigned char>(first_byte) & 0x0f) ==
         static_cast<unsigned char>(opcode::close);
}

/// A Close frame, on the stack.
class close_frame {
 public:
  /// A code that may not be sent gives an empty body, as does `no_status`; a reason is cut to 123 bytes at the end
  /// of a code point. So the frame is always a legal one: to refuse bad input is the caller's business, before this.
  close_frame(close_code, std::string_view reason) noexcept;
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<char, 2 + 2 + max_close_reason> bytes_;
  std::uint8_t size_;
};

}  // namespace fairlead::protocol
