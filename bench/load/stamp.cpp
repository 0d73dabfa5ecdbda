#include "bench/load/stamp.hpp"

namespace fairlead::bench {

namespace {

std::optional<std::uint64_t> letters_to_number(std::string_view letters) {
  std::uint64_t value = 0;
  unsigned seen = 0;
  for (const char letter : letters) {
    const auto nibble = static_cast<unsigned>(static_cast<unsigned char>(letter)) - 'a';
    seen |= nibble;
    value = value << 4U | (nibble & 0xfU);
  }
  if (seen > 0xfU) return std::nullopt;
  return value;
}

}  // namespace

stamped_frame::stamped_frame(std::size_t payload_size) {
  append_client_frame(bytes_, opcode::text, std::string(payload_size, '.'), fixed_mask);
  payload_at_ = bytes_.size() - payload_size;
}

std::string_view stamped_frame::with(std::uint64_t stamp) {
  const std::size_t payload_size = bytes_.size() - payload_at_;
  write(0, stamp);
  if (payload_size >= 2 * stamp_size) write(payload_size - stamp_size, stamp);
  return bytes_;
}

void stamped_frame::write(std::size_t at, std::uint64_t stamp) {
  for (std::size_t end = at + stamp_size; end != at; stamp >>= 4U) {
    --end;
    const char letter = static_cast<char>('a' + (stamp & 0xfU));
    bytes_[payload_at_ + end] = static_cast<char>(letter ^ fixed_mask[end % fixed_mask.size()]);
  }
}

std::optional<std::uint64_t> stamped_frame::read(std::string_view payload,
                                                 std::size_t expected_size) {
  if (payload.size() != expected_size) return std::nullopt;
  const auto head = payload.substr(0, stamp_size);
  if (payload.size() >= 2 * stamp_size && payload.substr(payload.size() - stamp_size) != head)
    return std::nullopt;
  return letters_to_number(head);
}

}  // namespace fairlead::bench
