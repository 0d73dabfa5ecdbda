#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "net/socket_ops.hpp"
#include "net/tcp_socket.hpp"
#include "net/tls_stream.hpp"

namespace fairlead::net {

/// A TCP socket with TLS on it, or, as an HTTP session has it, perhaps without. It offers what `tcp_socket` does. A link
/// without TLS is on a bare `tcp_socket`, and pays nothing for this one.
class tls_socket {
 public:
  using executor_type = tcp_socket::executor_type;
  using lowest_layer_type = tcp_socket;

  /// No `tls`: a bare socket.
  tls_socket(tcp_socket socket, std::unique_ptr<tls_stream> tls)
      : tls_(std::move(tls)), tcp_(std::move(socket)) {}
  tls_socket(tls_socket&&) noexcept = default;
  tls_socket& operator=(tls_socket&&) = delete;

  [[nodiscard]] executor_type get_executor() const noexcept { return tcp_.get_executor(); }
  [[nodiscard]] lowest_layer_type& lowest_layer() noexcept { return tcp_; }
  [[nodiscard]] const lowest_layer_type& lowest_layer() const noexcept { return tcp_; }
  [[nodiscard]] bool encrypted() const noexcept { return tls_ != nullptr; }

  /// Whether the client has yet to do its part of TLS's handshake.
  [[nodiscard]] bool in_handshake() const noexcept { return tls_ && tls_->in_handshake(); }

  std::size_t write_some(std::span<const asio::const_buffer> from, error_code& ec) noexcept {
    return tls_ ? tls_->write(from, ec) : tcp_.write_some(from, ec);
  }

  /// Bytes of an earlier write that are in a record under way: the next write has to begin with the same ones.
  [[nodiscard]] std::size_t begun() const noexcept { return tls_ ? tls_->begun() : 0; }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return tls_ ? start_read(*tls_, buffers, std::forward<Handler>(handler))
                : tcp_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return tls_ ? start_write(*tls_, buffers, std::forward<Handler>(handler))
                : tcp_.async_write_some(buffers, std::forward<Handler>(handler));
  }
  void cancel() { tcp_.cancel(); }

  /// The bare socket, after a goodbye to the peer if there was TLS.
  [[nodiscard]] tcp_socket release() noexcept {
    if (tls_) tls_->say_goodbye();
    return std::move(tcp_);
  }

  /// "TLSv1.3"; empty without TLS. Static.
  [[nodiscard]] const char* version() const noexcept { return tls_ ? tls_->version() : ""; }
  /// The client's certificate's subject, if it was asked for one.
  [[nodiscard]] std::string peer_name() const { return tls_ ? tls_->peer_name() : std::string{}; }

 private:
  std::unique_ptr<tls_stream> tls_;
  tcp_socket tcp_;  // closed first: what waits in it refers to the TLS
};

}  // namespace fairlead::net
