#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>

#include "net/asio.hpp"
#include "net/poller.hpp"
#include "net/socket_ops.hpp"

namespace fairlead::net {

/// A connected TCP socket that never blocks: an AsyncStream for Asio and Beast, on a poller of ours. At most one read and
/// one write operation at a time. Movable, also while operations are pending. Its loop's thread only; the poller
/// outlives it. No operation is started on a socket that is closed.
class tcp_socket {
 public:
  using executor_type = asio::io_context::executor_type;
  using lowest_layer_type = tcp_socket;

  /// Takes a descriptor that is set to non-blocking.
  tcp_socket(poller& by, int descriptor)
      : watched_(by.watch(descriptor)), executor_(by.executor()) {}
  tcp_socket(tcp_socket&&) noexcept = default;
  tcp_socket& operator=(tcp_socket&&) = delete;
  ~tcp_socket() { close(); }

  [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }
  [[nodiscard]] lowest_layer_type& lowest_layer() noexcept { return *this; }
  [[nodiscard]] const lowest_layer_type& lowest_layer() const noexcept { return *this; }

  /// What can be done now; would_block where nothing can.
  std::size_t read_some(asio::mutable_buffer into, error_code& ec) noexcept {
    return receive(*watched_, into, ec);
  }
  std::size_t write_some(std::span<const asio::const_buffer> from, error_code& ec) noexcept {
    return transmit(*watched_, from, ec);
  }

  /// Fills the first of the buffers that has room: one recv for each event.
  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return start_read(*watched_, buffers, std::forward<Handler>(handler));
  }

  /// Writes of the first of the buffers that has anything.
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return start_write(*watched_, buffers, std::forward<Handler>(handler));
  }

  /// `void(error_code)`: when `read_some` is worth trying. After it met would_block, or at the start.
  template <class Handler>
  auto async_wait_readable(Handler&& handler) {
    return asio::async_initiate<Handler, void(error_code)>(
        [this](auto&& done) {
          using op = wait_op<std::decay_t<decltype(done)>, &watched::reader>;
          watched_->reader.emplace<op>(*watched_, std::forward<decltype(done)>(done));
          watched_->wait_readable();
        },
        handler);
  }

  /// Whether the peer has finished or broken off, whatever of what it sent is not read yet.
  [[nodiscard]] bool peer_has_left() const noexcept;
  /// `async_wait_readable` waits for news: what lies there unread is none. Before what lies there is read after all, or
  /// somebody else has the socket, say `look_again`.
  void wait_for_news() noexcept { watched_->was_drained(true); }
  void look_again() noexcept { watched_->expect_more(); }

  /// `void(error_code)`: when `write_some` is worth trying again.
  template <class Handler>
  auto async_wait_writable(Handler&& handler) {
    return asio::async_initiate<Handler, void(error_code)>(
        [this](auto&& done) {
          using op = wait_op<std::decay_t<decltype(done)>, &watched::writer>;
          watched_->writer.emplace<op>(*watched_, std::forward<decltype(done)>(done));
          watched_->wait_writable();
        },
        handler);
  }

  /// Says that no more comes.
  void shutdown_send(error_code&) noexcept;
  /// Bytes that the peer's TCP has not acknowledged, sent or not; 0 if that cannot be told.
  [[nodiscard]] std::size_t unacknowledged() const noexcept;
  /// `close` will reset the connection, so that the kernel forgets what the peer has not taken.
  void reset_on_close() noexcept;
  /// Pending operations complete with operation_aborted, later. So they do when the socket is closed.
  void cancel() { watched_->abort_all(); }
  void close() noexcept;

  /// For what is put on top of this socket. It stays where it is.
  [[nodiscard]] watched& place() noexcept { return *watched_; }

 private:
  std::unique_ptr<watched> watched_;
  executor_type executor_;
};

}  // namespace fairlead::net
