#include "bench/common/frame.hpp"

#include <cstring>

namespace fairlead::bench {

namespace {

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8U | static_cast<std::uint8_t>(byte);
  return value;
}

void append_header(std::string& out, opcode code, std::size_t payload_size, std::uint8_t mask_bit) {
  const auto append = [&out](std::uint64_t value) {
    out.push_back(static_cast<char>(value & 0xffU));
  };
  append(0x80U | static_cast<std::uint8_t>(code));
  if (payload_size < 126) {
    append(mask_bit | payload_size);
    return;
  }
  const bool wide = payload_size > 0xffffU;
  append(mask_bit | (wide ? 127U : 126U));
  for (unsigned shift = wide ? 64 : 16; shift != 0; shift -= 8)
    append(static_cast<std::uint64_t>(payload_size) >> (shift - 8));
}

}  // namespace

parsed parse_header(std::string_view bytes, frame_header& header) {
  if (bytes.size() < 2) return parsed::incomplete;
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const auto second = static_cast<std::uint8_t>(bytes[1]);
  if ((first & 0x70U) != 0)  // reserved bits: no extension was negotiated
    return parsed::malformed;
  header.fin = (first & 0x80U) != 0;
  header.code = static_cast<opcode>(first & 0x0fU);
  header.masked = (second & 0x80U) != 0;
  header.payload_size = second & 0x7fU;
  const std::size_t extended = header.payload_size == 127   ? 8U
                               : header.payload_size == 126 ? 2U
                                                            : 0U;
  header.size = 2 + extended + (header.masked ? 4U : 0U);
  if (bytes.size() < header.size) return parsed::incomplete;
  if (extended != 0) header.payload_size = big_endian(bytes.substr(2, extended));
  if (header.payload_size > max_payload) return parsed::malformed;
  if (header.masked)
    std::memcpy(header.mask.data(), bytes.data() + 2 + extended, header.mask.size());
  return parsed::complete;
}

void apply_mask(char* payload, std::size_t size, const mask_key& mask) {
  std::uint32_t word_mask = 0;
  std::memcpy(&word_mask, mask.data(), sizeof word_mask);
  std::size_t at = 0;
  for (; at + sizeof word_mask <= size; at += sizeof word_mask) {
    std::uint32_t word = 0;
    std::memcpy(&word, payload + at, sizeof word);
    word ^= word_mask;
    std::memcpy(payload + at, &word, sizeof word);
  }
  for (; at < size; ++at) payload[at] = static_cast<char>(payload[at] ^ mask[at % mask.size()]);
}

void append_server_frame(std::string& out, opcode code, std::string_view payload) {
  append_header(out, code, payload.size(), 0);
  out.append(payload);
}

void append_client_frame(std::string& out, opcode code, std::string_view payload,
                         const mask_key& mask) {
  append_header(out, code, payload.size(), 0x80U);
  out.append(mask.data(), mask.size());
  const auto start = out.size();
  out.append(payload);
  apply_mask(out.data() + start, payload.size(), mask);
}

}  // namespace fairlead::bench
