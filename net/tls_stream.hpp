#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>

#include "net/asio.hpp"
#include "net/poller.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace fairlead::net {

/// What OpenSSL says is wrong. Its values are OpenSSL's own, packed as in its error queue.
[[nodiscard]] const boost::system::error_category& tls_category() noexcept;
/// The client spoke plain HTTP to a TLS port.
[[nodiscard]] bool is_plain_http(const error_code&) noexcept;

/// The server's side of TLS on one socket, for as long as the socket is open. OpenSSL reads and writes the socket itself,
/// through `receive` and `transmit`. The handshake is part of the first reads. Never moves: OpenSSL knows its address.
///
/// What the kernel does not take of a record is kept here, so that OpenSSL never waits for room: when it does it can
/// answer nothing, and a client that asks for new keys at that moment would be lost.
class tls_stream {
 public:
  /// Throws std::bad_alloc.
  tls_stream(ssl_ctx_st*, watched& on);
  ~tls_stream();
  tls_stream(const tls_stream&) = delete;
  tls_stream& operator=(const tls_stream&) = delete;

  [[nodiscard]] watched& below() noexcept { return on_; }

  /// As `receive` and `transmit` of a bare socket. A write makes records of up to 16 KB, and returns the bytes of those
  /// that the kernel has taken to the end.
  std::size_t read(asio::mutable_buffer into, error_code&) noexcept;
  std::size_t write(std::span<const asio::const_buffer> from, error_code&) noexcept;
  /// So many bytes are in a record that the kernel has not taken whole: the next write must begin with the same ones.
  [[nodiscard]] std::size_t begun() const noexcept { return begun_; }
  [[nodiscard]] bool in_handshake() const noexcept;
  /// Tells the peer that no more comes (RFC 8446 6.1), as far as the kernel takes it.
  void say_goodbye() noexcept;

  /// "TLSv1.3"; static.
  [[nodiscard]] const char* version() const noexcept;
  /// The subject of the certificate that the client has shown and that was found good (RFC 2253); empty if none.
  [[nodiscard]] std::string peer_name() const;

 private:
  struct free_ssl {
    void operator()(ssl_st*) const noexcept;
  };
  friend struct bio_calls;
  [[nodiscard]] error_code failure(int result) noexcept;
  void send(std::string_view bytes) noexcept;
  void flush(error_code&) noexcept;

  watched& on_;
  std::string unsent_;     // of records, what the kernel has not taken
  std::size_t begun_ = 0;  // bytes of the caller's in the last of them
  error_code cause_;       // of the socket's last failure, which OpenSSL does not pass on
  bool failed_ = false;
  const std::unique_ptr<ssl_st, free_ssl> ssl_;
};

// What the operations of socket_ops.hpp ask of a stream.
inline std::size_t receive(tls_stream& from, asio::mutable_buffer into, error_code& ec) noexcept {
  return from.read(into, ec);
}
inline std::size_t transmit(tls_stream& to, std::span<const asio::const_buffer> from,
                            error_code& ec) noexcept {
  return to.write(from, ec);
}
inline watched& place_of(tls_stream& s) noexcept { return s.below(); }

}  // namespace fairlead::net
