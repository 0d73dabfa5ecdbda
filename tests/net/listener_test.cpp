#include <atomic>
#include <csignal>
#include <future>
#include <string>
#include <system_error>
#include <vector>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include "net/http.hpp"
#include "tests/net/test_server.hpp"

using namespace fairlead;
using namespace std::chrono_literals;
using test::raw_client;

TEST_SUITE_BEGIN("net/listener");

namespace {

struct counted_log final : log {
  bool enabled(severity) const noexcept override { return true; }
  void write(severity, std::string_view event, std::span<const log_field>) noexcept override {
    lines.add(std::string(event));
  }
  test::diary lines;
};

std::string failure_of(const std::string& address) {
  const auto loop = net::loop::start(0);
  std::string what;
  try {
    const auto listener = net::listener::start({address, {}, 1024, nullptr}, {loop},
                                               std::make_shared<test::test_server>());
    listener->stop();
  } catch (const std::system_error& e) {
    what = e.what();
  }
  loop->stop();
  return what;
}

/// Asks for a WebSocket where there is no room for one.
auto turned_away_for_now(raw_client& client) {
  client.send(raw_client::upgrade_request());
  auto reply = client.receive_reply();
  CHECK(reply.status == 503);
  CHECK(reply.has("Retry-After: "));
  return reply;
}

}  // namespace

TEST_CASE("port 0 picks one port for all loops, and each loop gets sockets") {
  std::vector<std::shared_ptr<net::loop>> loops{net::loop::start(0), net::loop::start(1)};
  const auto service = std::make_shared<test::test_server>();
  std::atomic<int> served[2] = {};
  service->on_upgrade = [&](const auto&, const auto&) {
    ++served[loops[1]->inside() ? 1 : 0];
    return net::http_response{403, "text/plain", "no", {}};
  };
  const auto listener = net::listener::start({"127.0.0.1:0", {}, 1024, nullptr}, loops, service);
  listener->accept();
  CHECK_FALSE(listener->address().ends_with(":0"));
  for (int i = 0; i < 200 && (served[0] == 0 || served[1] == 0); ++i) {
    raw_client client(listener->address());
    client.send(raw_client::upgrade_request());
    CHECK(client.receive_reply().status == 403);
  }
  CHECK(served[0] > 0);
  CHECK(served[1] > 0);
  listener->stop();
  for (const auto& loop : loops) loop->stop();
}

TEST_CASE("who comes before it accepts waits, and is served then") {
  const auto loop = net::loop::start(0);
  const auto service = std::make_shared<test::test_server>();
  std::atomic<bool> ready = false, early = false;
  service->on_upgrade = [&](const auto&, const auto&) {
    early = !ready;
    return net::http_response{403, "text/plain", "no", {}};
  };
  const auto listener = net::listener::start({"127.0.0.1:0", {}, 1024, nullptr}, {loop}, service);
  raw_client client(listener->address());
  client.send(raw_client::upgrade_request());
  // Whatever begins to accept by itself is posted by now: after a turn of the loop, and the socket's, it would have answered.
  for (int turns = 0; turns < 3; ++turns) {
    std::promise<void> turned;
    loop->post([&] { turned.set_value(); });
    turned.get_future().wait();
  }
  CHECK(listener->sockets() == 0);
  ready = true;
  listener->accept();
  CHECK(client.receive_reply().status == 403);
  CHECK_FALSE(early);
  listener->stop();
  loop->stop();
}

TEST_CASE("an address that cannot be used is an error that names it") {
  CHECK(failure_of("127.0.0.1").find("'127.0.0.1'") != std::string::npos);
  CHECK(failure_of("127.0.0.1:x").find("'127.0.0.1:x'") != std::string::npos);
  CHECK(failure_of("127.0.0.1:65536").find("port") != std::string::npos);
  CHECK(failure_of("::1:80").find("brackets") != std::string::npos);
  CHECK(failure_of("192.0.2.1:80").find("192.0.2.1:80") != std::string::npos);
}

TEST_CASE("a port that somebody listens on is an error, although SO_REUSEPORT would share it") {
  const test::running_server server;
  CHECK(failure_of(server->address()).find(server->address()) != std::string::npos);
}

TEST_CASE("the same port can be listened on again as soon as a listener has stopped") {
  std::string address;
  {
    const test::running_server server;
    address = server->address();
    auto [client, line] = server->connect();
    server->listener->stop();
    CHECK(client.ends_here());
  }
  CHECK(failure_of(address).empty());
}

TEST_CASE(
    "past the limit of connections a client is told 503, and is welcome when there is room again") {
  limits bounds;
  bounds.max_connections = 2;
  const test::running_server server(bounds);
  auto [first, first_line] = server->connect();
  auto [second, second_line] = server->connect();
  {
    raw_client third(server->address());
    turned_away_for_now(third);
    CHECK(third.ends_here());
    CHECK_FALSE(third.was_reset());
  }
  first.close();
  CHECK(test::eventually([&] { return server->listener->sockets() == 1; }));
  CHECK(raw_client(server->address()).upgrade().status == 101);
  CHECK(server->hits->count(protocol::limit_hit::connections) == 1);
}

TEST_CASE("past the limit of one address the same, and as soon as one of its sockets is closed") {
  limits bounds;
  bounds.max_connections_per_address = 2;
  const test::running_server server(bounds);
  auto [first, first_line] = server->connect();
  auto [second, second_line] = server->connect();
  {
    raw_client third(server->address());
    const auto reply = turned_away_for_now(third);
    CHECK(reply.body == "too many connections from your address\n");
  }
  first.close();
  CHECK(test::eventually([&] { return server->listener->sockets() == 1; }));
  CHECK(raw_client(server->address()).upgrade().status == 101);
  CHECK(server->hits->count(protocol::limit_hit::connections_per_address) == 1);
  CHECK(server->hits->count(protocol::limit_hit::connections) == 0);
}

TEST_CASE("newcomers past the rate wait in the kernel's queue, and all are served in the end") {
  limits bounds;
  bounds.max_accepts_per_second = 20;
  const test::running_server server(bounds);
  std::vector<raw_client> clients;
  for (int i = 0; i < 25; ++i) {
    clients.emplace_back(server->address());
    clients.back().send(raw_client::upgrade_request());
  }
  for (auto& client : clients) CHECK(client.receive_reply().status == 101);
  CHECK(server->hits->count(protocol::limit_hit::accept_rate) > 0);
}

namespace {

/// Looks at the server's end of a client's socket, which is in this process, too.
void check_options(const raw_client& client, int user_timeout) {
  sockaddr_in own{};
  socklen_t size = sizeof own;
  REQUIRE(::getsockname(client.descriptor(), reinterpret_cast<sockaddr*>(&own), &size) == 0);
  int found = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in peer{};
    size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sin_family != AF_INET || peer.sin_port != own.sin_port) continue;
    int timeout = 0, no_delay = 0;
    size = sizeof timeout;
    CHECK(::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size) == 0);
    CHECK(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) == 0);
    CHECK(timeout == user_timeout);
    CHECK(no_delay == 1);
    ++found;
  }
  CHECK(found == 1);
}

}  // namespace

TEST_CASE("what is accepted sends at once, and gives up on a peer that acknowledges nothing, after "
          "the time that is set when it comes") {
  limits bounds;
  bounds.tcp_user_timeout = 12'345ms;
  const test::running_server server(bounds);
  auto [client, line] = server->connect();
  check_options(client, 12'345);
  bounds.tcp_user_timeout = 6'789ms;
  server->listener->set_limits(bounds);
  server->on_loop([] {});  // by now the loop has handled it
  auto [later, later_line] = server->connect();
  check_options(later, 6'789);
  check_options(client, 12'345);
}

TEST_CASE("limits that are set while it serves hold for the next client") {
  const test::running_server server;
  server->listener->set_limits({.max_connections = 1});
  auto [first, first_line] = server->connect();
  raw_client second(server->address());
  second.send(raw_client::upgrade_request());
  CHECK(second.receive_reply().status == 503);
  server->listener->set_limits({.max_connections = 3});
  CHECK(raw_client(server->address()).upgrade().status == 101);
}

TEST_CASE("times that are set while it serves hold at once, for whoever is there as well") {
  const test::running_server server({.ping_interval = 1h});
  auto [client, opened] = server->connect();
  server->listener->set_limits({.ping_interval = 50ms});
  const auto ping = client.receive_frame();
  REQUIRE(ping);
  CHECK(ping->opcode == 9);
  server->listener->set_limits({.ping_interval = 1h, .idle_timeout = 50ms});
  opened->reports.await("limit 1001");
}

TEST_CASE("without descriptors it pauses, says so once, and goes on when there are some") {
  const auto logger = std::make_shared<counted_log>();
  // The sanitizer looks at an object through a pipe the first time it is called, and below there is none to be had.
  static_cast<log&> (*logger)(severity::debug, "test.begins", {});
  const test::running_server server({}, logger);
  std::vector<raw_client> clients;
  for (int i = 0; i < 3; ++i) clients.emplace_back(server->address());
  CHECK(test::eventually([&] { return server->listener->sockets() == 3; }));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  raw_client waiting = [&] {
    // One more for the client itself, none for the server.
    const rlimit none{test::open_descriptors(), before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    return raw_client(server->address());
  }();
  logger->lines.await("listener.accept_failed");
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  waiting.upgrade();
  CHECK(logger->lines.count("listener.accept_failed") == 1);
}

TEST_CASE(
    "stop_accepting ends idle HTTP connections, finishes what is under way, and lets links live") {
  const test::running_server server;
  auto [client, line] = server->connect();
  raw_client idle(server->address());
  CHECK(test::eventually([&] { return server->listener->sockets() == 2; }));
  net::respond kept;
  server->on_request = [&](const net::http_request&, net::respond respond) {
    kept = std::move(respond);
  };
  raw_client busy(server->address());
  busy.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
  CHECK(test::eventually([&] {
    bool asked = false;
    server->on_loop([&] { asked = kept != nullptr; });
    return asked;
  }));
  server->listener->stop_accepting();
  CHECK(idle.ends_here());
  kept({200, "text/plain", "done", {}});
  CHECK(busy.receive_reply().has("Connection: close"));
  CHECK(busy.ends_here());
  client.send(test::ping_frame("alive"));
  CHECK(client.receive_frame()->payload == "alive");
  CHECK_THROWS(raw_client(server->address()));
  server->listener->stop_accepting();  // idempotent
}

TEST_CASE("a peer that is gone makes no signal") {
  // SIGPIPE would end this process: it is not ignored here.
  struct sigaction now {};
  REQUIRE(::sigaction(SIGPIPE, nullptr, &now) == 0);
  REQUIRE((now.sa_handler == SIG_DFL));
  const test::running_server server;
  for (int i = 0; i < 20; ++i) {
    auto [client, line] = server->connect();
    client.reset();
    server->on_loop([l = line] {
      for (int n = 0; n < 3; ++n) {
        l->send(message::text("x"));
        l->flush();
      }
    });
    line->reports.await("failed");
  }
}

TEST_SUITE_END();
