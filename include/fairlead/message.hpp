#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace fairlead {

namespace protocol {
struct compressed_form;
}

enum class message_kind : std::uint8_t {
  text = 1,
  binary = 2
};  // the WebSocket opcodes (RFC 6455 5.2)

/// An immutable message, shared by reference: copying one costs a reference count, never its bytes.
///
/// It holds the payload behind a ready WebSocket server frame header, so that one message sent to many connections
/// is encoded once and written from the same bytes. Safe to copy, keep and read from any thread for ever.
/// One that was moved from may only be assigned to or destroyed.
/// Text must be UTF-8 (RFC 6455 5.6); what a peer sent has been checked, what the caller makes is the caller's word.
class message {
 public:
  /// An empty text message.
  message();
  /// Copies `payload` once. Throws std::bad_alloc, and std::length_error past 4 GiB.
  [[nodiscard]] static message text(std::string_view payload);
  [[nodiscard]] static message binary(std::span<const std::byte> payload);
  [[nodiscard]] static message make(message_kind, std::string_view payload);

  [[nodiscard]] message_kind kind() const noexcept { return kind_; }
  /// The payload's bytes, valid while any copy of this message lives.
  [[nodiscard]] std::string_view view() const noexcept {
    return {bytes_.get() + header_, size_ - header_};
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_ - header_; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// The whole server frame: header (RFC 6455 5.2: FIN set, unmasked) and payload.
  [[nodiscard]] std::string_view frame() const noexcept { return {bytes_.get(), size_}; }
  /// The frame's storage, for queues that keep it alive.
  [[nodiscard]] const std::shared_ptr<const char[]>& storage() const noexcept { return bytes_; }

 private:
  friend struct protocol::compressed_form;  // travels with the storage
  std::shared_ptr<const char[]> bytes_;
  std::uint32_t size_ = 0;
  std::uint8_t header_ = 0;
  message_kind kind_ = message_kind::text;
};

}  // namespace fairlead
