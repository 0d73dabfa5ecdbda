#include "protocol/frame.hpp"

#include <algorithm>

#include "protocol/utf8.hpp"

namespace fairlead::protocol {
namespace {

constexpr unsigned char fin = 0x80;

/// Network byte order.
void write_big_endian(char* out, std::uint64_t value, std::size_t bytes) noexcept {
  for (std::size_t i = bytes; i-- > 0; value >>= 8) out[i] = static_cast<char>(value & 0xff);
}

}  // namespace

std::size_t write_frame_header(char* out, opcode code, std::size_t payload) noexcept {
  const std::size_t size = frame_header_size(payload);
  out[0] = static_cast<char>(fin | static_cast<unsigned char>(code));
  out[1] = static_cast<char>(size == 2 ? payload : size == 4 ? 126 : 127);
  write_big_endian(out + 2, payload, size - 2);
  return size;
}

close_frame::close_frame(close_code code, std::string_view reason) noexcept {
  const bool with_body = may_be_sent(code);
  reason = with_body ? clip_utf8(reason, max_close_reason) : std::string_view{};
  const std::size_t body = with_body ? 2 + reason.size() : 0;
  char* const out = bytes_.data() + write_frame_header(bytes_.data(), opcode::close, body);
  if (with_body) {
    write_big_endian(out, static_cast<std::uint16_t>(code), 2);
    std::copy(reason.begin(), reason.end(), out + 2);
  }
  size_ = static_cast<std::uint8_t>(2 + body);
}

}  // namespace fairlead::protocol
