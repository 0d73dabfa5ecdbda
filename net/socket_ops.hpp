#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>

#include "net/poller.hpp"

namespace fairlead::net {

/// What can be read now; would_block where nothing can, eof at the end.
std::size_t receive(watched&, asio::mutable_buffer, error_code&) noexcept;
/// What the kernel takes now; would_block where it takes nothing. Never a signal.
std::size_t transmit(watched&, std::span<const asio::const_buffer>, error_code&) noexcept;
/// Where the operations on a stream wait: a `watched` is the stream of a bare socket.
inline watched& place_of(watched& bare) noexcept { return bare; }

/// An operation on a stream, in one of its socket's slots, that ends by calling `Handler`.
template <class Stream, class Handler, auto Slot>
class socket_op : public ready_op {
 public:
  template <class Given>
  socket_op(Stream& on, Given&& handler) : on_(on), handler_(std::forward<Given>(handler)) {}

 protected:
  template <class... Results>
  void call(Results... results) {
    Handler handler = std::move(handler_);
    (place_of(on_).*Slot).clear();  // this is gone
    std::move(handler)(results...);
  }
  template <class... Results>
  void call_later(Results... results) {
    auto later = boost::beast::bind_front_handler(std::move(handler_), results...);
    const auto executor = place_of(on_).home().executor();
    (place_of(on_).*Slot).clear();
    asio::post(executor, std::move(later));
  }

  Stream& on_;
  Handler handler_;
};

template <class Stream, class Handler>
class read_op final : public socket_op<Stream, Handler, &watched::reader> {
 public:
  template <class Given>
  read_op(Stream& on, asio::mutable_buffer into, Given&& handler)
      : read_op::socket_op(on, std::forward<Given>(handler)), into_(into) {}
  void run() override {
    error_code ec;
    const std::size_t n = receive(this->on_, into_, ec);
    if (ec != asio::error::would_block) this->call(ec, n);
  }
  void abort() override {
    this->call_later(error_code(asio::error::operation_aborted), std::size_t{0});
  }

 private:
  asio::mutable_buffer into_;
};

template <class Stream, class Handler>
class write_op final : public socket_op<Stream, Handler, &watched::writer> {
 public:
  template <class Given>
  write_op(Stream& on, asio::const_buffer from, Given&& handler)
      : write_op::socket_op(on, std::forward<Given>(handler)), from_(from) {}
  void run() override {
    error_code ec;
    const std::size_t n = transmit(this->on_, std::span(&from_, 1), ec);
    if (ec != asio::error::would_block) this->call(ec, n);
  }
  /// At the start, where nothing may be called yet. False if it has to wait.
  bool run_later() {
    error_code ec;
    const std::size_t n = transmit(this->on_, std::span(&from_, 1), ec);
    if (ec == asio::error::would_block) return false;
    this->call_later(ec, n);
    return true;
  }
  void abort() override {
    this->call_later(error_code(asio::error::operation_aborted), std::size_t{0});
  }

 private:
  asio::const_buffer from_;
};

/// Only waits.
template <class Handler, auto Slot>
class wait_op final : public socket_op<watched, Handler, Slot> {
 public:
  using socket_op<watched, Handler, Slot>::socket_op;
  void run() override { this->call(error_code()); }
  void abort() override { this->call_later(error_code(asio::error::operation_aborted)); }
};

/// The first of the buffers that has any size.
template <class Buffer, class Buffers>
[[nodiscard]] Buffer first_of(const Buffers& buffers) {
  const auto end = asio::buffer_sequence_end(buffers);
  for (auto i = asio::buffer_sequence_begin(buffers); i != end; ++i) {
    if (const Buffer one(*i); one.size() > 0) return one;
  }
  return {};
}

/// `void(error_code, std::size_t)`: fills the first of the buffers that has room, by one read for each event.
template <class Stream, class Buffers, class Handler>
auto start_read(Stream& from, const Buffers& buffers, Handler&& handler) {
  return asio::async_initiate<Handler, void(error_code, std::size_t)>(
      [&from](auto&& done, asio::mutable_buffer into) {
        using op = read_op<Stream, std::decay_t<decltype(done)>>;
        auto& place = place_of(from);
        place.reader.template emplace<op>(from, into, std::forward<decltype(done)>(done));
        place.wait_readable();
      },
      handler, first_of<asio::mutable_buffer>(buffers));
}

/// `void(error_code, std::size_t)`: writes of the first of the buffers that has anything.
template <class Stream, class Buffers, class Handler>
auto start_write(Stream& to, const Buffers& buffers, Handler&& handler) {
  return asio::async_initiate<Handler, void(error_code, std::size_t)>(
      [&to](auto&& done, asio::const_buffer from) {
        using op = write_op<Stream, std::decay_t<decltype(done)>>;
        auto& place = place_of(to);
        auto& started =
            place.writer.template emplace<op>(to, from, std::forward<decltype(done)>(done));
        if (!started.run_later()) place.wait_writable();
      },
      handler, first_of<asio::const_buffer>(buffers));
}

}  // namespace fairlead::net
