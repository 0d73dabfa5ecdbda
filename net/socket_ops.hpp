#pragma once

#include <cstddef>
#include <span>
#include <utility>

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

/// An operation in one of a socket's slots that ends by calling `Handler`.
template <class Handler, auto Slot>
class socket_op : public ready_op {
 public:
  template <class Given>
  socket_op(watched& on, Given&& handler) : on_(on), handler_(std::forward<Given>(handler)) {}

 protected:
  template <class... Results>
  void call(Results... results) {
    Handler handler = std::move(handler_);
    (on_.*Slot).clear();  // this is gone
    std::move(handler)(results...);
  }
  template <class... Results>
  void call_later(Results... results) {
    auto later = boost::beast::bind_front_handler(std::move(handler_), results...);
    const auto executor = on_.home().executor();
    (on_.*Slot).clear();
    asio::post(executor, std::move(later));
  }

  watched& on_;
  Handler handler_;
};

template <class Handler>
class read_op final : public socket_op<Handler, &watched::reader> {
 public:
  template <class Given>
  read_op(watched& on, asio::mutable_buffer into, Given&& handler)
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

template <class Handler>
class write_op final : public socket_op<Handler, &watched::writer> {
 public:
  template <class Given>
  write_op(watched& on, asio::const_buffer from, Given&& handler)
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
class wait_op final : public socket_op<Handler, Slot> {
 public:
  using socket_op<Handler, Slot>::socket_op;
  void run() override { this->call(error_code()); }
  void abort() override { this->call_later(error_code(asio::error::operation_aborted)); }
};

}  // namespace fairlead::net
