#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>

#include "net/deflate.hpp"
#include "net/deflate_offer.hpp"
#include "net/tls_socket.hpp"

namespace fairlead::net {

/// The socket of a WebSocket with permessage-deflate: notes which messages come compressed. It does not compress; who
/// writes does that, before frames are queued and shared.
class deflate_socket {
 public:
  using executor_type = tls_socket::executor_type;
  using lowest_layer_type = tls_socket::lowest_layer_type;

  deflate_socket(tls_socket socket, const deflate_agreement& agreed,
                 deflate_workshop::taker counted)
      : socket_(std::move(socket)), agreed_(agreed), counted_(std::move(counted)) {}

  [[nodiscard]] executor_type get_executor() const noexcept { return socket_.get_executor(); }
  [[nodiscard]] lowest_layer_type& lowest_layer() noexcept { return socket_.lowest_layer(); }
  [[nodiscard]] const lowest_layer_type& lowest_layer() const noexcept {
    return socket_.lowest_layer();
  }
  [[nodiscard]] tls_socket& below() noexcept { return socket_; }
  [[nodiscard]] const tls_socket& below() const noexcept { return socket_; }
  [[nodiscard]] const deflate_agreement& agreed() const noexcept { return agreed_; }
  [[nodiscard]] compressed_marks& marks() noexcept { return marks_; }
  /// The most bytes that a message of this connection may have, inflated. Set before anything is read.
  std::size_t most_inflated = 0;

  std::size_t write_some(std::span<const asio::const_buffer> from, error_code& ec) noexcept {
    return socket_.write_some(from, ec);
  }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return asio::async_initiate<Handler, void(error_code, std::size_t)>(
        [this](auto&& done, asio::mutable_buffer into) {
          using scan = scanning<std::decay_t<decltype(done)>>;
          socket_.async_read_some(into, scan{std::forward<decltype(done)>(done), marks_,
                                             static_cast<char*>(into.data()), get_executor()});
        },
        handler, first_of<asio::mutable_buffer>(buffers));
  }

 private:
  /// Looks at what was read before the reader does.
  template <class Handler>
  struct scanning {
    using executor_type =
        asio::associated_executor_t<Handler, typename deflate_socket::executor_type>;
    using allocator_type = asio::associated_allocator_t<Handler>;

    Handler handler;
    compressed_marks& marks;  // there for as long as anything is read
    char* bytes;
    typename deflate_socket::executor_type home;

    [[nodiscard]] allocator_type get_allocator() const noexcept {
      return asio::get_associated_allocator(handler);
    }
    [[nodiscard]] executor_type get_executor() const noexcept {
      return asio::get_associated_executor(handler, home);
    }
    void operator()(error_code ec, std::size_t n) {
      if (n > 0) marks.scan(bytes, n);
      std::move(handler)(ec, n);
    }
  };

  tls_socket socket_;
  const deflate_agreement agreed_;
  deflate_workshop::taker counted_;
  compressed_marks marks_;
};

}  // namespace fairlead::net
