#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fairlead::bench {

/// RFC 6455 5.2.
enum class opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10
};

using mask_key = std::array<char, 4>;

/// What stands before a frame's payload. `size` is the header's own length in bytes.
struct frame_header {
  bool fin = false;
  bool masked = false;
  opcode code = opcode::continuation;
  std::size_t size = 0;
  std::uint64_t payload_size = 0;
  mask_key mask{};
};

enum class parsed { complete, incomplete, malformed };

/// The largest payload either program accepts. Bounds what one peer can make it buffer.
inline constexpr std::uint64_t max_payload = 1U << 20U;

/// Reads the header at the start of `bytes`. Complete means the header; the payload may still be on its way.
parsed parse_header(std::string_view bytes, frame_header& header);

/// Applies the mask in place; the same call masks and unmasks.
void apply_mask(char* payload, std::size_t size, const mask_key& mask);

/// Appends an unmasked frame, as a server sends it.
void append_server_frame(std::string& out, opcode code, std::string_view payload);

/// Appends a masked frame, as a client sends it.
void append_client_frame(std::string& out, opcode code, std::string_view payload,
                         const mask_key& mask);

}  // namespace fairlead::bench
