#include <algorithm>
#include <limits>
#include <stdexcept>

#include <fairlead/message.hpp>

#include "protocol/frame.hpp"

namespace fairlead {
namespace {

static_assert(static_cast<int>(message_kind::text) == static_cast<int>(protocol::opcode::text));
static_assert(static_cast<int>(message_kind::binary) == static_cast<int>(protocol::opcode::binary));

/// The frame of the empty text message: FIN, opcode 1, length 0. Never freed, so sharing it counts nothing.
constexpr char empty_text[] = {'\x81', '\x00'};

}  // namespace

message::message()
    : bytes_(std::shared_ptr<const char[]>{}, empty_text),
      size_(sizeof empty_text),
      header_(sizeof empty_text) {}

message message::make(message_kind kind, std::string_view payload) {
  const std::size_t header = protocol::frame_header_size(payload.size());
  if (payload.size() > std::numeric_limits<std::uint32_t>::max() - header)
    throw std::length_error(
        "fairlead::message: the payload is larger than a message can be (4 GiB)");

  auto bytes = std::make_shared_for_overwrite<char[]>(header + payload.size());
  protocol::write_frame_header(bytes.get(), static_cast<protocol::opcode>(kind), payload.size());
  std::copy(payload.begin(), payload.end(), bytes.get() + header);

  message made;
  made.bytes_ = std::move(bytes);
  made.size_ = static_cast<std::uint32_t>(header + payload.size());
  made.header_ = static_cast<std::uint8_t>(header);
  made.kind_ = kind;
  return made;
}

message message::text(std::string_view payload) { return make(message_kind::text, payload); }

message message::binary(std::span<const std::byte> payload) {
  return make(message_kind::binary,
              {reinterpret_cast<const char*>(payload.data()), payload.size()});
}

}  // namespace fairlead
