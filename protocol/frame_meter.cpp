#include "protocol/frame_meter.hpp"

#include <algorithm>

namespace fairlead::protocol {
namespace {

constexpr std::uint64_t mask_size = 4;  // a client's frames are masked (RFC 6455 5.1)
constexpr unsigned char opcode_bits = 0x0f;
constexpr unsigned char close_opcode = 0x08;
constexpr unsigned char control_bit = 0x08;
constexpr unsigned char length_bits = 0x7f;
constexpr unsigned two_more = 126;

}  // namespace

frame_meter::reading frame_meter::read(std::string_view bytes,
                                       std::uint32_t max_fragments) noexcept {
  reading seen;
  while (!bytes.empty()) {
    if (part_ == part::payload) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      left_ -= n;
      bytes.remove_prefix(n);
      if (left_ == 0) part_ = part::opcode;
      continue;
    }
    const auto next = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    switch (part_) {
    case part::opcode:
      ++seen.frames;
      begin(next, max_fragments);
      break;
    case part::short_length: take_length(next); break;
    case part::length:
      left_ = left_ << 8U | next;
      if (--length_bytes_ > 0) break;
      impossible_length_ = impossible_length_ || left_ >> 63U != 0;
      left_ += mask_size;
      part_ = part::payload;
      break;
    case part::payload: break;
    }
  }
  seen.too_many_fragments = too_many_;
  return seen;
}

void frame_meter::begin(unsigned char first, std::uint32_t max_fragments) noexcept {
  part_ = part::short_length;
  over_ = over_ || (first & opcode_bits) == close_opcode;
  // Control frames may come between the fragments of a message; what comes behind a Close is nothing.
  if (over_ || (first & control_bit) != 0) return;
  const bool continues = (first & opcode_bits) == 0;
  fragments_ = continues ? fragments_ + 1 : 1;
  too_many_ = too_many_ || fragments_ > max_fragments;
}

void frame_meter::take_length(unsigned char second) noexcept {
  const unsigned length = second & length_bits;
  part_ = length < two_more ? part::payload : part::length;
  length_bytes_ = length == two_more ? 2 : 8;
  left_ = length < two_more ? length + mask_size : 0;
}

}  // namespace fairlead::protocol
