#include <array>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.hpp"
#include "net/tcp_socket.hpp"
#include "tests/net/test_server.hpp"

using namespace fairlead;
using net::error_code;
using net::tcp_socket;
namespace asio = boost::asio;

TEST_SUITE_BEGIN("net/poller");

namespace {

/// One end in the loop's hands, the other in the test's. Made and used on the loop's thread.
struct ends {
  explicit ends(net::loop& loop) {
    int both[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both) != 0)
      throw std::runtime_error("socketpair");
    ours.emplace(loop.sockets(), both[0]);
    peer = both[1];
  }
  ~ends() {
    if (peer >= 0) ::close(peer);
  }
  ends(const ends&) = delete;
  ends& operator=(const ends&) = delete;
  void peer_says(std::string_view bytes) const {
    if (::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
      throw std::runtime_error("send");
  }
  void peer_leaves() { ::close(std::exchange(peer, -1)); }

  std::optional<tcp_socket> ours;
  int peer = -1;
  std::array<char, 8> room{};
  test::diary seen;

  /// Reads again and again, and writes down what it gets.
  void read() {
    ours->async_read_some(asio::buffer(room), [this](const error_code& ec, std::size_t n) {
      seen.add(ec ? "error " + ec.message() : std::string(room.data(), n));
      if (!ec) read();
    });
  }
};

struct running_loop {
  running_loop() : loop(net::loop::start(0)) {}
  ~running_loop() { loop->stop(); }
  running_loop(const running_loop&) = delete;
  running_loop& operator=(const running_loop&) = delete;
  /// Runs on the loop, waits for its end.
  void run(const std::function<void()>& task) const {
    std::promise<void> done;
    loop->post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  /// Until what a task posted has run: the first of these may overtake it, the second cannot.
  void settle() const {
    run([] {});
    run([] {});
  }
  std::shared_ptr<net::loop> loop;
};

struct two_ends {
  two_ends(const running_loop& on) : loop(on) {
    loop.run([this] { pair.emplace(*loop.loop); });
  }
  ~two_ends() {
    loop.run([this] { pair->ours.reset(); });
    loop.settle();  // what was pending has been told
    pair.reset();
  }
  ends* operator->() { return &*pair; }
  const running_loop& loop;
  std::optional<ends> pair;
};

using lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a read gets what is there, one after the other gets all, and then the end of file") {
  const running_loop loop;
  two_ends socket(loop);
  SUBCASE("there before it was asked for") {
    socket->peer_says("1234567890abcdefXY");
    socket->peer_leaves();
    loop.run([&] { socket->read(); });
  }
  SUBCASE("there after it") {
    loop.run([&] { socket->read(); });
    socket->peer_says("1234567890abcdefXY");
    socket->peer_leaves();
  }
  SUBCASE("data and the end of file in one event: a short read is not the last") {
    loop.run([&] {
      socket->read();
      socket->peer_says("1234567890abcdefXY");
      socket->peer_leaves();
    });
  }
  socket->seen.await("error");
  CHECK(socket->seen.lines() == lines{"12345678", "90abcdef", "XY", "error End of file"});
}

TEST_CASE("after a short read the next event brings the next bytes") {
  const running_loop loop;
  two_ends socket(loop);
  loop.run([&] { socket->read(); });
  for (const std::string text : {"a", "b", "12345678", "c"}) {
    socket->peer_says(text);
    socket->seen.await(text);
  }
  CHECK(socket->seen.lines() == lines{"a", "b", "12345678", "c"});
}

TEST_CASE("closing and cancelling tell a pending read, once, and not from within the call") {
  const running_loop loop;
  two_ends socket(loop);
  bool close = false;
  SUBCASE("close") { close = true; }
  SUBCASE("cancel") {}
  loop.run([&] {
    socket->read();
    close ? socket->ours.reset() : socket->ours->cancel();
    CHECK(socket->seen.lines().empty());
  });
  socket->seen.await("error");
  loop.settle();
  CHECK(socket->seen.lines() == lines{"error Operation canceled"});
}

TEST_CASE("a write waits for room") {
  const running_loop loop;
  two_ends socket(loop);
  std::size_t written = 0;
  loop.run([&] {
    const std::string block(100'000, 'x');
    error_code ec;
    while (!ec) {
      const asio::const_buffer all(block.data(), block.size());
      written += socket->ours->write_some(std::span(&all, 1), ec);
    }
    CHECK(ec == asio::error::would_block);
    socket->ours->async_wait_writable(
        [&](const error_code& failed) { socket->seen.add("room" + failed.message()); });
  });
  CHECK(socket->seen.lines().empty());
  std::string sink(written, '\0');
  while (written > 0)
    written -= static_cast<std::size_t>(::recv(socket->peer, sink.data(), written, 0));
  socket->seen.await("room");
}

TEST_CASE(
    "a socket that is closed by another's handler hears nothing, though its event was at hand") {
  const running_loop loop;
  two_ends first(loop);
  two_ends second(loop);
  const auto kill = [&](two_ends& other) {
    return [&](const error_code& ec, std::size_t) {
      if (!ec) other->ours.reset();
    };
  };
  std::size_t survivors = 0;
  loop.run([&] {
    first->ours->async_read_some(asio::buffer(first->room), kill(second));
    second->ours->async_read_some(asio::buffer(second->room), kill(first));
    first->peer_says("x");
    second->peer_says("x");
  });
  CHECK(test::eventually([&] {
    loop.run([&] { survivors = (first->ours ? 1U : 0U) + (second->ours ? 1U : 0U); });
    return survivors < 2;
  }));
  loop.settle();
  CHECK(survivors == 1);
}

TEST_CASE("a handler that throws takes no other socket's event with it") {
  const running_loop loop;
  two_ends bad(loop);
  two_ends good(loop);
  loop.run([&] {
    bad->ours->async_read_some(asio::buffer(bad->room), [](const error_code& ec, std::size_t) {
      if (!ec) throw std::runtime_error("oh");
    });
    good->read();
    bad->peer_says("x");
    good->peer_says("y");
  });
  CHECK(good->seen.await("y") == "y");
}

TEST_SUITE_END();
