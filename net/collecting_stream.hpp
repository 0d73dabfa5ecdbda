#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/core/saved_handler.hpp>

#include "net/asio.hpp"
#include "net/socket_ops.hpp"

namespace fairlead::net {

/// Takes what Beast writes: its handshake response and its control frames; and sees what it reads. Alive for as long as
/// Beast's handler is.
class raw_sink {
 public:
  /// Bytes of the peer's, before Beast has seen them. An error ends the reading: Beast is told that instead.
  [[nodiscard]] virtual error_code heard(std::string_view bytes) = 0;
  /// One whole HTTP response or control frame.
  virtual void take_raw(std::string_view bytes) = 0;
  /// A turn later: writes what was taken. An error if the stream is gone. Never called from within a call to the link.
  [[nodiscard]] virtual error_code flush_raw() = 0;
  /// Where Beast waits before it reads on: while the peer reads nothing, because pongs must not pile up, and while it has
  /// sent more than it may. Null: it need not wait.
  virtual boost::beast::saved_handler* hold() noexcept = 0;

 protected:
  ~raw_sink() = default;
};

/// What Beast takes for the socket. Reads pass through; writes are collected, so that Beast's few frames and our many
/// stand in one queue, under one seal, and leave in one system call.
///
/// Beast writes each control frame, and the handshake response, by one call (its read.hpp and accept.hpp), and always
/// a whole one, because a write here takes everything.
template <class Socket>
class collecting_stream {
 public:
  using executor_type = typename Socket::executor_type;

  /// `already_read` came behind the upgrade request and is read first.
  collecting_stream(Socket socket, std::string_view already_read, raw_sink& sink)
      : socket_(std::move(socket)), sink_(sink) {
    if (!already_read.empty()) already_read_ = std::make_unique<std::string>(already_read);
  }

  [[nodiscard]] executor_type get_executor() noexcept { return socket_.get_executor(); }
  [[nodiscard]] Socket& socket() noexcept { return socket_; }
  [[nodiscard]] const Socket& socket() const noexcept { return socket_; }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return asio::async_initiate<Handler, void(error_code, std::size_t)>(
        [this](auto&& done, const Buffers& into) {
          using done_type = std::decay_t<decltype(done)>;
          if (auto* const waiting = sink_.hold())
            return waiting->emplace(
                postponed<done_type, Buffers>{{std::forward<decltype(done)>(done)}, into, *this});
          const auto first = first_of<asio::mutable_buffer>(into);
          arrival<done_type> arrived{
              {std::forward<decltype(done)>(done)}, static_cast<const char*>(first.data()), sink_};
          if (!already_read_) return socket_.async_read_some(first, std::move(arrived));
          const std::size_t size = asio::buffer_copy(first, asio::buffer(*already_read_));
          already_read_->erase(0, size);
          if (already_read_->empty()) already_read_.reset();
          asio::post(get_executor(),
                     boost::beast::bind_front_handler(std::move(arrived), error_code{}, size));
        },
        handler, buffers);
  }

  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return asio::async_initiate<Handler, void(error_code, std::size_t)>(
        [this](auto&& done, const Buffers& from) {
          const std::string bytes = boost::beast::buffers_to_string(from);
          sink_.take_raw(bytes);
          using done_type = std::decay_t<decltype(done)>;
          asio::post(get_executor(), taken<done_type>{{std::forward<decltype(done)>(done),
                                                       bytes.size(), get_executor()},
                                                      sink_});
        },
        handler, buffers);
  }

 private:
  /// What is put around a handler of Beast's, all of which know their executor, runs and allocates as that would.
  template <class Handler>
  struct around {
    using executor_type = asio::associated_executor_t<Handler>;
    using allocator_type = asio::associated_allocator_t<Handler>;

    Handler handler;

    [[nodiscard]] allocator_type get_allocator() const noexcept {
      return asio::get_associated_allocator(handler);
    }
    [[nodiscard]] executor_type get_executor() const noexcept {
      return asio::get_associated_executor(handler);
    }
  };

  /// Shows what was read before Beast gets it.
  template <class Handler>
  struct arrival : around<Handler> {
    const char* into;
    raw_sink& sink;  // lives as long as the handler

    void operator()(error_code ec, std::size_t n) {
      if (n > 0)
        if (const auto refused = sink.heard({into, n})) return std::move(this->handler)(refused, 0);
      std::move(this->handler)(ec, n);
    }
  };

  /// A read that has to wait. Invoked without an argument by saved_handler, unless it was cancelled.
  template <class Handler, class Buffers>
  struct postponed : around<Handler> {
    Buffers into;
    collecting_stream& stream;  // whoever invokes this has it

    void operator()(error_code ec = {}) {
      if (ec) return std::move(this->handler)(ec, 0);
      stream.async_read_some(into, std::move(this->handler));
    }
  };

  /// Tells Beast that all was written. Invoked without an argument by saved_handler, unless it was cancelled.
  template <class Handler>
  struct completion {
    using executor_type =
        asio::associated_executor_t<Handler, typename collecting_stream::executor_type>;
    using allocator_type = asio::associated_allocator_t<Handler>;

    Handler handler;
    std::size_t size;
    typename collecting_stream::executor_type home;

    [[nodiscard]] allocator_type get_allocator() const noexcept {
      return asio::get_associated_allocator(handler);
    }
    [[nodiscard]] executor_type get_executor() const noexcept {
      return asio::get_associated_executor(handler, home);
    }
    void operator()(error_code ec = {}) { std::move(handler)(ec, ec ? 0 : size); }
  };

  /// Flushes, and completes once there is room for more.
  template <class Handler>
  struct taken : completion<Handler> {
    raw_sink& sink;  // lives as long as the handler: at the end of its chain is the link's own

    void operator()() {
      const error_code gone = sink.flush_raw();
      auto& done = static_cast<completion<Handler>&>(*this);
      if (auto* const waiting = gone ? nullptr : sink.hold())
        waiting->emplace(std::move(done));
      else
        done(gone);
    }
  };

  Socket socket_;
  std::unique_ptr<std::string> already_read_;
  raw_sink& sink_;
};

/// Found by Beast when a WebSocket ends: the link itself flushes, lingers and closes.
template <class Socket>
void teardown(boost::beast::role_type, collecting_stream<Socket>&, error_code& ec) {
  ec = {};
}

template <class Socket, class Handler>
void async_teardown(boost::beast::role_type, collecting_stream<Socket>& stream, Handler&& handler) {
  asio::post(stream.get_executor(),
             boost::beast::bind_front_handler(std::forward<Handler>(handler), error_code{}));
}

/// For time-outs of Beast's own, which are off.
template <class Socket>
void beast_close_socket(collecting_stream<Socket>& stream) {
  stream.socket().lowest_layer().close();
}

}  // namespace fairlead::net
