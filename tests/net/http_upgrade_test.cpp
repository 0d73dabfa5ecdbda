#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "net/tls_context.hpp"
#include "tests/net/hand_turned_loop.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/tls_layer.hpp"
#include "tests/support/waiting.hpp"

using namespace fairlead;
using namespace std::chrono_literals;
using net::upgrade_turn;
using net::wait_end;
using test::raw_client;

TEST_SUITE_BEGIN("net/http_upgrade");

namespace {

/// A server whose upgrades wait for the test.
class waiting_server {
 public:
  explicit waiting_server(limits bounds = {}, std::shared_ptr<net::tls_context> tls = {})
      : running_(bounds, {}, std::move(tls)) {
    running_->on_upgrade = [this](const upgrade_request&,
                                  upgrade_turn& turn) -> std::optional<net::http_response> {
      // `held` is let go of when the wait is over.
      auto held = std::shared_ptr<void>(nullptr, [this](void*) { ++let_go; });
      asked.put(turn.wait([this, held](wait_end why) {
        ended.put(why);
        return net::http_response{503, "text/plain", "over", {}};
      }));
      return std::nullopt;
    };
  }

  test::test_server* operator->() const { return running_.server.get(); }

  /// Lets the request become a WebSocket.
  [[nodiscard]] upgrade_turn::finish accept(std::string subprotocol = {}) {
    return [this, subprotocol](upgrade_turn& turn) -> std::optional<net::http_response> {
      auto opened = std::make_shared<test::line>();
      opened->link = turn.take(subprotocol);
      opened->received = [](test::line& l, const message& m) {
        l.send(m);
        l.flush();
      };
      opened->link->open(std::make_unique<test::recording_observer>(opened));
      lines.put(opened);
      return std::nullopt;
    };
  }
  [[nodiscard]] static upgrade_turn::finish refuse(unsigned status) {
    return [status](upgrade_turn&) { return net::http_response{status, "text/plain", "no", {}}; };
  }

  test::mailbox<upgrade_turn::resume> asked;
  test::mailbox<wait_end> ended;
  test::mailbox<std::shared_ptr<test::line>> lines;
  std::atomic<int> let_go{0};

 private:
  test::running_server running_;
};

bool answers(raw_client& client, std::string_view text) {
  const auto frame = client.receive_frame();
  return frame && frame->opcode == 1 && frame->payload == text;
}

}  // namespace

TEST_CASE("a decision that comes later, from another thread, takes the link or refuses") {
  waiting_server server;
  raw_client in(server->address()), out(server->address());
  in.send(raw_client::upgrade_request());
  const auto let_in = server.asked.take();
  out.send(raw_client::upgrade_request());
  const auto turn_away = server.asked.take();
  CHECK(server.let_go == 0);
  std::thread{[&] { let_in(server.accept()); }}.join();
  std::thread{[&] { turn_away(waiting_server::refuse(403)); }}.join();
  CHECK(in.receive_reply().status == 101);
  in.send(test::text_frame("hello"));
  CHECK(answers(in, "hello"));
  CHECK(out.receive_reply().status == 403);
  CHECK(out.ends_here());
  CHECK(test::eventually([&] { return server.let_go == 2; }));
}

TEST_CASE("the first decision counts, a dropped one is a 500, one that throws too") {
  waiting_server server;
  raw_client client(server->address());
  client.send(raw_client::upgrade_request());
  {
    const auto decide = server.asked.take();
    decide(waiting_server::refuse(403));
    decide(server.accept());
  }
  CHECK(client.receive_reply().status == 403);
  raw_client forgotten(server->address());
  forgotten.send(raw_client::upgrade_request());
  server.asked.take();  // and lets go of it
  CHECK(forgotten.receive_reply().status == 500);
  raw_client unlucky(server->address());
  unlucky.send(raw_client::upgrade_request());
  server.asked.take()(
      [](upgrade_turn&) -> std::optional<net::http_response> { throw std::runtime_error{"oh"}; });
  CHECK(unlucky.receive_reply().status == 500);
  raw_client undecided(server->address());
  undecided.send(raw_client::upgrade_request());
  server.asked.take()([](upgrade_turn&) { return std::nullopt; });
  CHECK(undecided.receive_reply().status == 500);
}

TEST_CASE("what comes with the request, and while it waits, is the WebSocket's, in order") {
  const auto frames = [](int from, int to) {
    std::string all;
    for (int i = from; i < to; ++i) all += test::text_frame(std::to_string(i));
    return all;
  };
  // The request's size decides how much of what follows is read along with it.
  for (const std::size_t filler : {0U, 500U, 720U, 900U, 1024U}) {
    CAPTURE(filler);
    waiting_server server;
    raw_client client(server->address());
    client.send(raw_client::upgrade_request("/ws", "X: " + std::string(filler, 'x') + "\r\n") +
                frames(0, 50));
    const auto decide = server.asked.take();
    client.send(frames(50, 100));
    for (int i = 0; i < 5; ++i)
      server->on_loop([] {});  // so that their event has come, most likely
    decide(server.accept());
    CHECK(client.receive_reply().status == 101);
    // Nothing that comes now tells the server that there is something to read.
    for (int i = 0; i < 100; ++i) REQUIRE(answers(client, std::to_string(i)));
    client.send(frames(100, 110));
    for (int i = 100; i < 110; ++i) REQUIRE(answers(client, std::to_string(i)));
  }
}

TEST_CASE("nothing is read while it waits: what a client sends then is bounded by the kernel") {
  waiting_server server;
  raw_client client(server->address());
  client.send(raw_client::upgrade_request());
  const auto decide = server.asked.take();
  const std::string piece(64 * 1024, 'x');
  std::size_t sent = 0;
  for (ssize_t n = 1; n > 0 && sent<(64U << 20U); sent += n> 0 ? static_cast<std::size_t>(n) : 0U)
    n = ::send(client.descriptor(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  CHECK(sent < (64U << 20U));
  client.reset();  // an end would wait behind those bytes, in the client's own kernel
  CHECK(server.ended.take() == wait_end::client_left);
}

TEST_CASE("a client that leaves frees everything: by a reset, an end, behind bytes that nobody has "
          "read") {
  waiting_server server;
  const auto leave = [&](const std::function<void(raw_client&)>& how) {
    raw_client client(server->address());
    client.send(raw_client::upgrade_request());
    const auto decide = server.asked.take();
    how(client);
    CHECK(server.ended.take() == wait_end::client_left);
    CHECK(test::eventually([&] { return server->listener->sockets() == 0; }));
    decide(server.accept());  // too late, and harmless
    server->on_loop([] {});
  };
  leave([](raw_client& c) { c.reset(); });
  leave([](raw_client& c) { c.close(); });
  leave([](raw_client& c) { c.finish_sending(); });
  leave([](raw_client& c) {
    c.send(test::text_frame("early"));
    c.finish_sending();
  });
  leave([](raw_client& c) {
    c.send(std::string(2048, 'x'));
    c.reset();
  });
  CHECK(server.let_go == 5);
}

TEST_CASE("one that has left before it was asked about is noticed as well") {
  waiting_server server;
  raw_client client(server->address());
  client.send(raw_client::upgrade_request());
  client.finish_sending();
  const auto decide = server.asked.take();
  CHECK(server.ended.take() == wait_end::client_left);
}

TEST_CASE("the time is up: the answer that the service has for it, counted; a late decision does "
          "nothing") {
  limits bounds;
  bounds.admission_timeout = 30ms;
  bounds.handshake_timeout = 24h;
  waiting_server server(bounds);
  raw_client client(server->address());
  client.send(raw_client::upgrade_request());
  const auto decide = server.asked.take();
  CHECK(server.ended.take() == wait_end::timeout);
  CHECK(client.receive_reply().status == 503);
  CHECK(client.ends_here());
  CHECK(server->hits->count(protocol::limit_hit::admission_timeout) == 1);
  CHECK(server->hits->count(protocol::limit_hit::handshake_timeout) == 0);
  decide(server.accept());
  server->on_loop([] {});
  CHECK(server.let_go == 1);
}

TEST_CASE("who waits for a decision has the time for that, whatever a handshake may take") {
  const auto service = std::make_shared<test::test_server>();  // its loop is not started
  std::optional<upgrade_turn::resume> decide;
  service->on_upgrade = [&](const upgrade_request&,
                            upgrade_turn& turn) -> std::optional<net::http_response> {
    decide = turn.wait([](wait_end) { return net::http_response{503, "text/plain", "over", {}}; });
    return std::nullopt;
  };
  limits bounds;
  bounds.handshake_timeout = 10s;
  bounds.admission_timeout = 1h;
  test::hand_turned_session client(service, 0, bounds);
  client.sends(raw_client::upgrade_request());
  REQUIRE(decide);
  client.advance(59min);
  CHECK(client.receive().empty());
  SUBCASE("a decision comes") {
    (*decide)(waiting_server::refuse(403));
    client.advance(10ms);
    CHECK(client.receive_all().starts_with("HTTP/1.1 403 "));
  }
  SUBCASE("none comes") {
    client.advance(1min);
    CHECK(client.receive_all().starts_with("HTTP/1.1 503 "));
  }
}

TEST_CASE("when the listener stops, who waits is answered; a decision after that does nothing") {
  std::optional<upgrade_turn::resume> decide;
  std::optional<raw_client> client;
  {
    waiting_server server;
    client.emplace(server->address());
    client->send(raw_client::upgrade_request());
    decide = server.asked.take();
    SUBCASE("it accepts no more") {
      server->listener->stop_accepting();
      CHECK(server.ended.take() == wait_end::stopping);
      CHECK(client->receive_reply().status == 503);
      (*decide)(server.accept());
      server->on_loop([] {});
    }
    SUBCASE("it drops all") {
      server->listener->stop();
      CHECK(server.ended.take() == wait_end::stopping);
      CHECK(server.let_go == 1);
      (*decide)(server.accept());
    }
    SUBCASE("the loop is gone") {}
  }
  (*decide)(waiting_server::refuse(403));
  decide.reset();
}

TEST_CASE("a service that waits and refuses has refused; one that waits and takes has taken") {
  const test::running_server server;
  std::optional<upgrade_turn::resume> kept;
  const auto take = server->on_upgrade;
  server->on_upgrade = [&](const upgrade_request& request,
                           upgrade_turn& turn) -> std::optional<net::http_response> {
    kept = turn.wait([](wait_end) { return net::http_response{}; });
    if (request.path == "/take") return take(request, turn);
    if (request.path == "/throw") throw std::runtime_error{"oh"};
    return net::http_response{403, "text/plain", "no", {}};
  };
  const auto status_of = [&](const char* target) {
    raw_client client(server->address());
    client.send(raw_client::upgrade_request(target));
    return client.receive_reply().status;
  };
  CHECK(status_of("/refuse") == 403);
  CHECK(status_of("/throw") == 500);
  CHECK(status_of("/take") == 101);
  server->on_loop([&] { kept.reset(); });
}

TEST_CASE("the chosen subprotocol is answered, and none if none is chosen [RFC 6455 4.2.2]") {
  waiting_server server;
  const auto head = [&](const char* chosen) {
    raw_client client(server->address());
    client.send(raw_client::upgrade_request("/ws", "Sec-WebSocket-Protocol: a, b\r\n"));
    server.asked.take()(server.accept(chosen));
    return client.receive_reply().head;
  };
  CHECK(head("b").find("Sec-WebSocket-Protocol: b\r\n") != std::string::npos);
  CHECK(head("").find("Sec-WebSocket-Protocol") == std::string::npos);
}

TEST_CASE("under TLS it is the same: frames that came early, a client that leaves") {
  const test::certified files;
  waiting_server server(
      {}, std::make_shared<net::tls_context>(tls_options{files.certificate, files.key}, nullptr));
  const auto connect = [&] {
    return raw_client(server->address(), 0,
                      std::make_unique<test::tls_layer>(test::tls_client_options{files.ca_file}));
  };
  auto client = connect();
  client.send(raw_client::upgrade_request() + test::text_frame("0") + test::text_frame("1"));
  auto decide = server.asked.take();
  client.send(test::text_frame("2"));
  server->on_loop([] {});
  decide(server.accept());
  CHECK(client.receive_reply().status == 101);
  client.send(test::text_frame("3"));
  for (int i = 0; i < 4; ++i) CHECK(answers(client, std::to_string(i)));
  auto leaves = connect();
  leaves.send(raw_client::upgrade_request());
  decide = server.asked.take();
  leaves.close();
  CHECK(server.ended.take() == wait_end::client_left);
}

TEST_CASE("many wait at once and end in every way: no socket and no wait is left") {
  waiting_server server;
  constexpr int count = 200;
  std::vector<raw_client> clients;
  std::vector<upgrade_turn::resume> decisions;
  for (int i = 0; i < count; ++i) {
    clients.emplace_back(server->address());
    clients.back().send(raw_client::upgrade_request());
    decisions.push_back(server.asked.take());
  }
  std::thread decider{[&] {
    for (int i = 0; i < count; ++i) {
      if (i % 4 == 0) decisions[static_cast<std::size_t>(i)](waiting_server::refuse(403));
      if (i % 4 == 1) decisions[static_cast<std::size_t>(i)](server.accept());
    }
    decisions.clear();
  }};
  for (int i = 0; i < count; ++i)
    if (i % 3 == 0) clients[static_cast<std::size_t>(i)].reset();
  decider.join();
  clients.clear();
  CHECK(test::eventually([&] { return server->listener->sockets() == 0; }));
  CHECK(server.let_go == count);
}

TEST_SUITE_END();
