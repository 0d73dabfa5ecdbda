#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "bench/common/descriptor.hpp"
#include "bench/common/frame.hpp"

namespace fairlead::bench {

/// The mask of every client frame. RFC 6455 5.3 wants an unpredictable one, against proxies that are not here; a fixed
/// one makes the server do the same work and lets the client build frames ahead of time.
inline constexpr mask_key fixed_mask{'\x5a', '\x17', '\x6c', '\x33'};

/// One WebSocket client connection over a non-blocking socket. It never waits: the pool tells it what is ready.
class client {
 public:
  enum class phase { connecting, upgrading, open, closed };
  enum class role { reader, silent };

  /// Starts to connect to 127.0.0.1:port. `index` spreads clients over several loopback source addresses and makes the
  /// handshake key of each one distinct. Throws std::system_error.
  client(std::uint16_t port, std::size_t index, role role);

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  [[nodiscard]] phase current() const noexcept { return phase_; }
  [[nodiscard]] bool is_silent() const noexcept { return role_ == role::silent; }

  /// Why it is closed, for a message.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

  /// Goes on with connecting and the opening handshake after readiness of the socket. A rejected upgrade closes it.
  void progress(std::string_view path);

  /// Sends a complete client frame; what the kernel does not take waits for `flush`.
  void send(std::string_view frame);
  void flush();

  /// Reads all there is and calls `on_message(payload)` for each data frame. Answers pings. Uses `scratch` as the
  /// receive buffer, so that ten thousand idle clients hold no buffers of their own.
  template <class OnMessage>
  void receive(std::span<char> scratch, bool to_the_end, OnMessage&& on_message);

  /// For a silent reader after a hang-up: the server gave up on it.
  void abandon(std::string reason) { close(std::move(reason)); }

 private:
  void request_upgrade(std::string_view path);
  void read_answer();
  /// Received bytes, 0 when there are none now; closes on end or error.
  std::size_t receive_some(std::span<char> room);
  template <class OnMessage>
  std::size_t consume(std::string_view bytes, OnMessage& on_message);
  void on_control(opcode code, std::string_view payload);
  void close(std::string reason);

  descriptor socket_;
  phase phase_ = phase::connecting;
  role role_ = role::reader;
  std::string key_;
  std::string inbox_;   // an incomplete answer or frame
  std::string outbox_;  // what the kernel would not take
  std::string reason_;
};

template <class OnMessage>
void client::receive(std::span<char> scratch, bool to_the_end, OnMessage&& on_message) {
  while (phase_ == phase::open) {
    const std::size_t kept = inbox_.copy(scratch.data(), scratch.size());
    const std::size_t count = receive_some(scratch.subspan(kept));
    const std::string_view bytes(scratch.data(), kept + count);
    if (count == 0 && kept == 0) return;
    const std::size_t used = consume(bytes, on_message);
    if (kept != 0 || used != bytes.size()) inbox_.assign(bytes.substr(used));
    if (count == 0 ||
        (kept + count < scratch.size() && !to_the_end))  // drained; new bytes are a new edge
      return;
  }
}

template <class OnMessage>
std::size_t client::consume(std::string_view bytes, OnMessage& on_message) {
  std::size_t used = 0;
  frame_header header;
  while (used < bytes.size()) {
    const auto rest = bytes.substr(used);
    const auto outcome = parse_header(rest, header);
    if (outcome == parsed::malformed ||
        (outcome == parsed::complete && (header.masked || !header.fin))) {
      close("the server sent a frame that is malformed, masked, fragmented or over 1 MiB");
      break;
    }
    if (outcome == parsed::incomplete || rest.size() < header.size + header.payload_size) break;
    const auto payload = rest.substr(header.size, header.payload_size);
    used += header.size + payload.size();
    if (header.code == opcode::text || header.code == opcode::binary)
      on_message(payload);
    else
      on_control(header.code, payload);
  }
  return used;
}

}  // namespace fairlead::bench
