#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/// A client that speaks bytes: nothing of the server's own code stands between a test and what is on the wire.
/// Blocking, every wait bounded; a wait that ends without the event throws.
namespace fairlead::test {

/// A frame as it was on the wire.
struct frame {
  bool fin = true;
  std::uint8_t reserved = 0;  ///< RSV1-3 in the low three bits
  std::uint8_t opcode = 0;
  bool masked = false;
  std::string payload;  ///< unmasked

  [[nodiscard]] bool is_close() const { return opcode == 8; }
  /// The code of a Close frame, 1005 if it has none.
  [[nodiscard]] unsigned close_code() const {
    if (payload.size() < 2) return 1005;
    return static_cast<unsigned char>(payload[0]) * 256U + static_cast<unsigned char>(payload[1]);
  }
  [[nodiscard]] std::string close_reason() const {
    return payload.size() < 2 ? "" : payload.substr(2);
  }
  friend bool operator==(const frame&, const frame&) = default;
};

/// Builds frames, right ones and wrong ones.
struct frame_options {
  bool fin = true;
  std::uint8_t reserved = 0;
  bool masked = true;
  std::optional<std::uint64_t> claimed_length =
      std::nullopt;  ///< written as 64 bits instead of the payload's length
};

inline std::string encode_frame(unsigned opcode, std::string_view payload,
                                const frame_options& how = {}) {
  std::string bytes;
  bytes += static_cast<char>((how.fin ? 0x80U : 0U) | (how.reserved & 7U) << 4U | (opcode & 15U));
  const std::uint64_t length = how.claimed_length.value_or(payload.size());
  const unsigned width = how.claimed_length || length > 0xffff ? 8 : length > 125 ? 2 : 0;
  const std::uint64_t short_length = width == 8 ? 127 : width == 2 ? 126 : length;
  bytes += static_cast<char>((how.masked ? 0x80U : 0U) | short_length);
  for (unsigned i = width; i-- > 0;) bytes += static_cast<char>(length >> 8U * i);
  if (!how.masked) return bytes.append(payload);
  const std::string key = "\x37\xfa\x21\x3d";
  bytes += key;
  for (std::size_t i = 0; i < payload.size(); ++i)
    bytes += static_cast<char>(payload[i] ^ key[i % 4]);
  return bytes;
}

inline std::string text_frame(std::string_view payload) { return encode_frame(1, payload); }
inline std::string ping_frame(std::string_view payload) { return encode_frame(9, payload); }
inline std::string close_payload(unsigned code, std::string_view reason = {}) {
  std::string payload{static_cast<char>(code >> 8U), static_cast<char>(code)};
  return payload.append(reason);
}
inline std::string close_frame(unsigned code, std::string_view reason = {}) {
  return encode_frame(8, close_payload(code, reason));
}

/// A complete HTTP response.
struct http_reply {
  unsigned status = 0;
  std::string head;  ///< status line and fields, ends with the empty line
  std::string body;  ///< by Content-Length
  [[nodiscard]] bool has(std::string_view line) const {
    return head.find(line) != std::string::npos;
  }
};

/// What lies between a client and its socket, such as TLS. Moves bytes, does no reading or writing of its own.
class byte_layer {
 public:
  virtual ~byte_layer() = default;
  /// What the client says first.
  virtual std::string start() = 0;
  /// Whether the handshake is done.
  [[nodiscard]] virtual bool ready() const = 0;
  virtual std::string wrap(std::string_view plain) = 0;
  /// Appends to `plain`; returns what is to be answered. Throws if the bytes are wrong.
  virtual std::string unwrap(std::string_view raw, std::string& plain) = 0;
  /// What is still to be sent, such as why it threw.
  virtual std::string outgoing() = 0;
};

class raw_client {
 public:
  static constexpr std::chrono::seconds patience{30};

  /// With a layer: throws if the handshake fails.
  explicit raw_client(const std::string& address, int receive_buffer = 0,
                      std::unique_ptr<byte_layer> layer = {})
      : layer_(std::move(layer)) {
    const auto colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoul(address.substr(colon + 1))));
    ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (receive_buffer > 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
      const int why = errno;
      close();
      throw std::runtime_error("connect: " + std::string(std::strerror(why)));
    }
    if (!layer_) return;
    try {
      send_raw(layer_->start());
      while (!layer_->ready())
        if (!receive_some()) throw std::runtime_error("the stream ended within the handshake");
    } catch (...) {
      send_raw(layer_->outgoing());
      close();
      throw;
    }
  }
  ~raw_client() { close(); }
  raw_client(raw_client&& other) noexcept
      : layer_(std::move(other.layer_)),
        fd_(std::exchange(other.fd_, -1)),
        received_(std::move(other.received_)) {}
  raw_client& operator=(raw_client&& other) noexcept {
    close();
    layer_ = std::move(other.layer_);
    fd_ = std::exchange(other.fd_, -1);
    received_ = std::move(other.received_);
    return *this;
  }

  [[nodiscard]] int descriptor() const { return fd_; }
  [[nodiscard]] byte_layer* layer() const { return layer_.get(); }

  // --- sending ---

  void send(std::string_view bytes) {
    if (!try_send(bytes)) throw std::runtime_error("send: " + std::string(std::strerror(errno)));
  }
  /// False once the server has closed or reset the connection.
  bool try_send(std::string_view bytes) {
    return layer_ ? send_raw(layer_->wrap(bytes)) : send_raw(bytes);
  }
  /// The same, past the layer.
  bool send_raw(std::string_view bytes) {
    while (!bytes.empty()) {
      await(POLLOUT, "the socket to become writable");
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  /// Ends the connection by a reset.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  // --- receiving ---

  /// Reads once, which may bring no byte that is not the layer's own. False at the end of the stream, or at a reset.
  bool receive_some() {
    await(POLLIN, "bytes from the server");
    char buffer[65536];
    const auto n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n > 0 && layer_)
      send_raw(layer_->unwrap({buffer, static_cast<std::size_t>(n)}, received_));
    else if (n > 0)
      received_.append(buffer, static_cast<std::size_t>(n));
    if (n < 0) was_reset_ = true;
    return n > 0;
  }
  /// Whether the stream ended with a reset.
  [[nodiscard]] bool was_reset() const { return was_reset_; }
  /// What was received and not taken yet.
  [[nodiscard]] const std::string& pending() const { return received_; }
  /// Everything until the stream ends.
  std::string receive_all() {
    while (receive_some()) continue;
    return std::exchange(received_, {});
  }
  /// True if the stream ends here, with nothing before its end.
  bool ends_here() {
    while (received_.empty())
      if (!receive_some()) return true;
    return false;
  }

  /// The next frame, or nothing at the end of the stream.
  std::optional<frame> receive_frame() {
    for (;;) {
      if (auto next = take_frame()) return next;
      if (!receive_some()) return std::nullopt;
    }
  }

  /// The next frame, if all of it was received already.
  std::optional<frame> take_frame() {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(received_[i]); };
    if (received_.size() < 2) return std::nullopt;
    frame next;
    next.fin = (byte(0) & 0x80U) != 0;
    next.reserved = byte(0) >> 4U & 7U;
    next.opcode = byte(0) & 15U;
    next.masked = (byte(1) & 0x80U) != 0;
    std::uint64_t length = byte(1) & 0x7fU;
    const std::size_t width = length == 127 ? 8 : length == 126 ? 2 : 0;
    const std::size_t head = 2 + width + (next.masked ? 4 : 0);
    if (received_.size() < head) return std::nullopt;
    if (width > 0) length = 0;
    for (std::size_t i = 0; i < width; ++i) length = length << 8U | byte(2 + i);
    if (received_.size() - head < length) return std::nullopt;
    next.payload = received_.substr(head, length);
    for (std::size_t i = 0; next.masked && i < length; ++i)
      next.payload[i] = static_cast<char>(next.payload[i] ^ byte(head - 4 + i % 4));
    received_.erase(0, head + length);
    return next;
  }

  /// The next HTTP response. `without_body`: to a HEAD request.
  http_reply receive_reply(bool without_body = false) {
    std::size_t end = 0;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive_some())
        throw std::runtime_error("the stream ended within a response head: '" + received_ + "'");
    }
    http_reply reply;
    reply.head = received_.substr(0, end + 4);
    received_.erase(0, end + 4);
    reply.status = static_cast<unsigned>(std::stoul(reply.head.substr(9, 3)));
    const auto at = reply.head.find("Content-Length: ");
    const std::size_t length =
        at == std::string::npos || without_body ? 0 : std::stoul(reply.head.substr(at + 16));
    while (received_.size() < length) {
      if (!receive_some()) throw std::runtime_error("the stream ended within a response body");
    }
    reply.body = received_.substr(0, length);
    received_.erase(0, length);
    return reply;
  }

  // --- WebSocket ---

  static std::string upgrade_request(std::string_view target = "/ws",
                                     std::string_view more_fields = {}) {
    return "GET " + std::string(target) +
           " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
           std::string(more_fields) + "\r\n";
  }
  /// Opens a WebSocket; throws if the answer is not 101.
  http_reply upgrade(std::string_view target = "/ws", std::string_view more_fields = {}) {
    send(upgrade_request(target, more_fields));
    auto reply = receive_reply();
    if (reply.status != 101) throw std::runtime_error("not upgraded: " + reply.head + reply.body);
    return reply;
  }

 private:
  void await(short what, const char* name) {
    pollfd waited{fd_, what, 0};
    if (::poll(&waited, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) <= 0)
      throw std::runtime_error(std::string("waited in vain for ") + name);
  }

  std::unique_ptr<byte_layer> layer_;  // null: none
  int fd_ = -1;
  std::string received_;
  bool was_reset_ = false;
};

}  // namespace fairlead::test
