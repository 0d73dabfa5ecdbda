#include <atomic>
#include <chrono>
#include <fstream>
#include <future>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <doctest/doctest.h>

#include <fairlead/caf/actors.hpp>
#include <fairlead/server.hpp>

#include "tests/support/http_client.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/tls_layer.hpp"
#include "tests/support/waiting.hpp"

namespace fairlead {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::mailbox;
using test::raw_client;

server_options on_a_free_port() { return {.listen = "127.0.0.1:0", .threads = 2}; }

raw_client connect(const server& s, std::string_view target = "/ws", std::string_view fields = {}) {
  raw_client client{s.address()};
  client.upgrade(target, fields);
  return client;
}

/// Keeps the lines of a server's threads.
class shared_log final : public log {
 public:
  [[nodiscard]] bool enabled(severity) const noexcept override { return true; }
  void write(severity s, std::string_view event,
             std::span<const log_field> fields) noexcept override {
    const std::lock_guard lock{mutex_};
    lines_.write(s, event, fields);
  }
  [[nodiscard]] std::size_t count(std::string_view event, std::string_view part = {}) {
    const std::lock_guard lock{mutex_};
    return lines_.count(event, part);
  }

 private:
  std::mutex mutex_;
  test::recording_log lines_;
};

std::string next_text(raw_client& client) {
  const auto frame = client.receive_frame();
  REQUIRE(frame);
  CHECK(frame->opcode == 1);
  return frame->payload;
}

}  // namespace

TEST_SUITE("service/server") {
  TEST_CASE("wrong options: std::invalid_argument that names each of them") {
    try {
      const server s{{.listen = "x", .path = "ws"}};
      FAIL("it started");
    } catch (const std::invalid_argument& error) {
      const std::string what = error.what();
      CHECK(what.starts_with("server_options: listen: \"x\" is no address; give host:port"));
      CHECK(what.find("; path: ") != std::string::npos);
    }
    CHECK_THROWS_AS(server({.listen = "127.0.0.1:0", .internal = "0.0.0.0:0"}),
                    std::invalid_argument);
  }

  TEST_CASE("a port that is taken: std::system_error that names the address, and nothing is left "
            "running") {
    const server first{on_a_free_port()};
    auto options = on_a_free_port();
    options.listen = first.address();
    const auto lines = std::make_shared<shared_log>();
    options.logger = lines;
    server second;
    try {
      second.start(options);
      FAIL("it started");
    } catch (const std::system_error& error) {
      CHECK(std::string_view{error.what()}.find(first.address()) != std::string_view::npos);
    }
    CHECK(lines->count("server.stopped") == 0);  // what never served has no end
    second.start(on_a_free_port());              // it may be tried again
    CHECK(second.address() != first.address());

    options = on_a_free_port();
    options.internal = first.address();
    CHECK_THROWS_AS(server{options}, std::system_error);
  }

  TEST_CASE("a server that was not started answers everything and does nothing") {
    server s;
    CHECK(s.address().empty());
    CHECK(s.internal_address().empty());
    CHECK(s.connection_count() == 0);
    CHECK_FALSE(s.broadcast(message::text("x")));
    mailbox<send_result> sent;
    s.send({0, 1}, message::text("x"), [&](send_result r) { sent.put(r); });
    CHECK(sent.take() == send_result::no_such_connection);
    mailbox<close_result> closed;
    s.remove({0, 1}, close_code::normal, {}, [&](close_result r) { closed.put(r); });
    CHECK(closed.take() == close_result::no_such_connection);
    CHECK(s.shutdown().connections == 0);
    CHECK_FALSE(supervisor_of(s));
    CHECK_THROWS_AS(static_cast<void>(system_of(s)), std::logic_error);
    CHECK_THROWS_AS(s.reload_tls(), std::logic_error);
    s.start(on_a_free_port());
    CHECK(supervisor_of(s));
    CHECK_THROWS_AS(s.start(on_a_free_port()), std::logic_error);
  }

  TEST_CASE(
      "opened, message, closed: the handlers see a connection's life, and its handle outlives it") {
    mailbox<connection> opened;
    mailbox<std::string> said;
    mailbox<close_info> closed;
    auto options = on_a_free_port();
    options.on_upgrade = [](const upgrade_request& r) -> admission {
      CHECK(r.path == "/ws");
      CHECK(r.query == "name=ann");
      return admit{std::string{r.header("x-USER")}};
    };
    options.on_open = [&](const connection& c) { opened.put(c); };
    options.on_message = [&](const connection&, const message& m) {
      said.put(std::string{m.view()});
    };
    options.on_close = [&](const connection&, const close_info& why) { closed.put(why); };
    server s{options};

    auto client = connect(s, "/ws?name=ann", "X-User: ann\r\n");
    const auto handle = opened.take();
    CHECK(handle.user() == "ann");
    CHECK(s.connection_count() == 1);
    client.send(test::text_frame("hello"));
    CHECK(said.take() == "hello");
    CHECK(handle.send_reported(message::text("hi")).get() == send_result::written);
    CHECK(next_text(client) == "hi");
    client.send(test::close_frame(4001, "so long"));
    CHECK(closed.take() == close_info{close_code{4001}, "so long", initiator::peer, true});
    CHECK(handle.send_reported(message::text("late")).get() == send_result::closed);
    CHECK(eventually([&] { return s.connection_count() == 0; }));
  }

  TEST_CASE("wss://: a certificate that cannot be used is named; a new one drops nobody") {
    test::certified files;
    auto options = on_a_free_port();
    options.tls = {.certificate = files.certificate, .key = files.folder.file("missing.key")};
    options.on_message = [](const connection& c, const message& m) { c.send(m); };
    server s;
    CHECK_THROWS_WITH_AS(s.start(options), doctest::Contains("missing.key"), std::runtime_error);
    options.tls.key = files.key;
    s.start(options);

    const auto join = [&] {
      auto client = test::tls_client(s.address(), {.ca_file = files.ca_file});
      client.upgrade();
      return client;
    };
    auto old = join();
    files.replace({.name = "renewed"});
    s.reload_tls();
    CHECK(test::tls_of(join()).server_name() == "renewed");
    std::ofstream{files.certificate} << "no certificate\n";
    CHECK_THROWS_WITH_AS(s.reload_tls(), doctest::Contains(files.certificate.c_str()),
                         std::runtime_error);
    CHECK(test::tls_of(join()).server_name() == "renewed");
    old.send(test::text_frame("still there?"));
    CHECK(next_text(old) == "still there?");

    server without{on_a_free_port()};
    CHECK_THROWS_AS(without.reload_tls(), std::logic_error);
  }

  TEST_CASE("broadcast, send to a user, send to one, close a user") {
    mailbox<connection> opened;
    auto options = on_a_free_port();
    options.on_upgrade = [](const upgrade_request& r) -> admission {
      return admit{std::string{r.query}};
    };
    options.on_open = [&](const connection& c) { opened.put(c); };
    server s{options};
    auto ann = connect(s, "/ws?ann");
    const auto ann_id = opened.take().id();
    auto bob = connect(s, "/ws?bob");
    const auto bob_id = opened.take().id();

    mailbox<broadcast_summary> summary;
    const auto put = [&](const broadcast_summary& b) { summary.put(b); };
    s.broadcast(message::text("all"), {}, put);
    CHECK(summary.take().count(send_result::written) == 2);
    s.broadcast(message::text("not bob"), {bob_id}, put);
    CHECK(summary.take().addressed() == 1);
    s.send_to_user("bob", message::text("bob"), put);
    CHECK(summary.take().count(send_result::written) == 1);
    s.send_to_user("eve", message::text("eve"), put);
    CHECK(summary.take().count(send_result::no_such_connection) == 1);
    s.send(ann_id, message::text("ann"));
    CHECK(next_text(ann) == "all");
    CHECK(next_text(ann) == "not bob");
    CHECK(next_text(ann) == "ann");
    CHECK(next_text(bob) == "all");
    CHECK(next_text(bob) == "bob");

    mailbox<std::size_t> closes;
    s.close_user("bob", close_code{4002}, "out", [&](std::size_t n) { closes.put(n); });
    CHECK(closes.take() == 1);
    CHECK(bob.receive_frame()->close_code() == 4002);
  }

  TEST_CASE(
      "an admission hook refuses with a status and a reason; one that throws refuses with 500") {
    auto options = on_a_free_port();
    options.on_upgrade = [](const upgrade_request& r) -> admission {
      if (r.query == "throw") throw std::runtime_error{"broken"};
      return refuse{401, "who are you?"};
    };
    const server s{options};
    raw_client client{s.address()};
    client.send(raw_client::upgrade_request("/ws"));
    const auto reply = client.receive_reply();
    CHECK(reply.status == 401);
    CHECK(reply.body == "{\"error\":\"who are you?\"}\n");
    raw_client other{s.address()};
    other.send(raw_client::upgrade_request("/ws?throw"));
    CHECK(other.receive_reply().status == 500);
    CHECK(s.connection_count() == 0);
  }

  TEST_CASE("plain HTTP on the public listener: health, 426, 404, 405") {
    const server s{on_a_free_port()};
    const auto health = test::get(s.address(), "/health");
    CHECK(health.status == 200);
    CHECK(health.body.at("status") == "ok");
    CHECK(test::request(s.address(), "HEAD", "/health").status == 200);
    const auto upgrade = test::get(s.address(), "/ws");
    CHECK(upgrade.status == 426);
    CHECK(upgrade.has("\r\nUpgrade: websocket\r\n"));
    CHECK(test::get(s.address(), "/debug/tree").status == 404);
    const auto wrong = test::post(s.address(), "/health", "{}");
    CHECK(wrong.status == 405);
    CHECK(wrong.has("\r\nAllow: GET, HEAD\r\n"));
    raw_client client{s.address()};
    client.send(raw_client::upgrade_request("/elsewhere"));
    CHECK(client.receive_reply().status == 404);
  }

  TEST_CASE(
      "the public listener uses no body: a small one is read over, a larger one is not waited "
      "for") {
    const server s{on_a_free_port()};
    CHECK(test::request(s.address(), "GET", "/health", std::string(4096, 'x')).status == 200);
    const auto refused_at_its_head = [&](const std::string& head) {
      raw_client client{s.address()};
      client.send(head);
      CHECK(client.receive_reply().status == 413);
      CHECK(client.ends_here());
      CHECK_FALSE(client.was_reset());
    };
    refused_at_its_head("GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 4097\r\n\r\n");
    refused_at_its_head("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
    refused_at_its_head(
        "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1001\r\nx");
    refused_at_its_head(raw_client::upgrade_request("/ws", "Content-Length: 4097\r\n"));
    raw_client client{s.address()};
    client.send(raw_client::upgrade_request("/ws", "Content-Length: 1\r\n") + "x");
    CHECK(client.receive_reply().status == 400);
  }

  TEST_CASE("shutdown: 1001 with a reason to everyone, what is queued first; a second caller gets "
            "the same summary") {
    server s{on_a_free_port()};
    auto client = connect(s);
    REQUIRE(eventually([&] { return s.connection_count() == 1; }));
    auto summary = std::async(std::launch::async,
                              [&] { return s.shutdown(10s, close_code::going_away, "bye"); });
    const auto close = client.receive_frame();
    REQUIRE(close);
    CHECK(close->close_code() == 1001);
    CHECK(close->close_reason() == "bye");
    client.send(test::close_frame(1001));
    const auto first = summary.get();
    CHECK(first.connections == 1);
    CHECK(first.closed == 1);
    CHECK(first.aborted == 0);
    CHECK(s.shutdown().connections == 1);
    CHECK_THROWS_AS(raw_client{s.address()}, std::runtime_error);

    CHECK_FALSE(s.broadcast(message::text("late")));
    mailbox<send_result> sent;
    s.send({0, 1}, message::text("late"), [&](send_result r) { sent.put(r); });
    CHECK(sent.take() != send_result::written);
  }

  TEST_CASE("shutdown aborts at its deadline who does not answer") {
    server s{on_a_free_port()};
    const auto client = connect(s);
    REQUIRE(eventually([&] { return s.connection_count() == 1; }));
    const auto summary = s.shutdown(50ms);
    CHECK(summary.connections == 1);
    CHECK(summary.aborted == 1);
  }

  TEST_CASE(
      "shutdown from a handler is a std::logic_error, not a deadlock; a wrong code is refused") {
    server s;
    mailbox<bool> threw;
    auto options = on_a_free_port();
    options.on_message = [&](const connection&, const message&) {
      try {
        s.shutdown();
        threw.put(false);
      } catch (const std::logic_error&) {
        threw.put(true);
      }
    };
    s.start(options);
    auto client = connect(s);
    client.send(test::text_frame("stop"));
    CHECK(threw.take());
    CHECK_THROWS_AS(s.shutdown(1s, close_code::no_status), std::invalid_argument);
    CHECK(test::get(s.address(), "/health").status == 200);
  }

  TEST_CASE(
      "drain: not ready at once, in the grace everything else goes on; then nobody is let in, "
      "everyone is told 1012 and to reconnect; the internal listener answers until shutdown") {
    auto options = on_a_free_port();
    options.internal = "127.0.0.1:0";
    const auto lines = std::make_shared<shared_log>();
    options.logger = lines;
    server s{options};
    CHECK(s.drain_state().phase == drain_phase::serving);
    for (const auto& at : {s.address(), s.internal_address()}) {
      CHECK(test::get(at, "/ready").body.at("status") == "ready");
      CHECK(test::request(at, "HEAD", "/ready").status == 200);
    }
    auto client = connect(s);
    REQUIRE(eventually([&] { return s.connection_count() == 1; }));

    auto drained = s.drain({.grace = 1h, .timeout = 2h});
    for (const auto& at : {s.address(), s.internal_address()}) {
      CHECK(test::get(at, "/ready").status == 503);
      CHECK(test::get(at, "/ready").body.at("status") == "draining");
      CHECK(test::get(at, "/health").status == 200);  // alive
    }
    REQUIRE(eventually([&] { return s.drain_state().phase == drain_phase::grace; }));
    {
      auto late = connect(s);
      late.send(test::close_frame(1000));
      CHECK(late.receive_frame()->close_code() == 1000);
    }
    REQUIRE(eventually([&] { return s.connection_count() == 1; }));

    auto again = s.drain({.timeout = 10s});
    const auto close = client.receive_frame();
    REQUIRE(close);
    CHECK(close->close_code() == 1012);
    CHECK(close->close_reason() == "server restarting, please reconnect");
    client.send(test::close_frame(1012));
    const auto summary = drained.get();
    CHECK(summary.connections == 1);
    CHECK(summary.closed == 1);
    CHECK(summary.cut == 0);
    CHECK(again.get().closed == 1);
    CHECK(s.drain_state().phase == drain_phase::drained);
    CHECK(eventually([&] {
      try {
        raw_client{s.address()};
        return false;
      } catch (const std::runtime_error&) {  // it listens no more
        return true;
      }
    }));
    CHECK(test::get(s.internal_address(), "/ready").status == 503);
    CHECK(test::get(s.internal_address(), "/health").status == 200);
    CHECK(test::get(s.internal_address(), "/api/drain").body.at("phase") == "drained");
    CHECK(s.shutdown().closed == 1);
    CHECK(s.drain().get().closed == 1);
    CHECK(lines->count("server.drained", "closed=1 aborted=0 cut=0") == 1);
    CHECK(lines->count("server.stopped", "closed=1 aborted=0 cut=0") == 1);
  }

  TEST_CASE("drain may be asked for in a handler; options that cannot be used are "
            "std::invalid_argument and nothing has begun") {
    server s;
    auto options = on_a_free_port();
    options.on_message = [&](const connection&, const message&) { s.drain(); };
    s.start(options);
    CHECK_THROWS_AS(s.drain({.rate = 0}), std::invalid_argument);
    CHECK_THROWS_AS(s.drain({.grace = 10s, .timeout = 10s}), std::invalid_argument);
    CHECK_THROWS_AS(s.drain({.code = close_code::abnormal}), std::invalid_argument);
    CHECK(test::get(s.address(), "/ready").status == 200);
    auto client = connect(s);
    client.send(test::text_frame("go"));
    CHECK(client.receive_frame()->close_code() == 1012);
    server none;
    CHECK(none.drain().get().connections == 0);
    CHECK(none.drain_state().phase == drain_phase::serving);
  }

  TEST_CASE("what sessions are asked for in a flood holds up neither sockets nor a shutdown") {
    server_options options{.listen = "127.0.0.1:0", .threads = 1};
    options.session_types["plain"] = {};
    server s{options};
    std::vector<session> sessions;
    for (int i = 0; i < 100; ++i) sessions.push_back(s.spawn_session("plain").session);
    std::atomic<std::uint64_t> asked{0}, answered{0};
    {
      std::vector<std::jthread> threads;
      for (std::size_t t = 0; t < 2; ++t)
        threads.emplace_back([&, t](const std::stop_token& stop) {
          for (auto n = t; !stop.stop_requested(); ++n) {
            const auto& one = sessions[n % sessions.size()];
            asked += 2;
            one.emit("e", "1", [&](const emit_report&) { ++answered; });
            one.issue_token([&](const std::string&) { ++answered; });
            one.start_timer("t", 1h);
            one.watch([](session_state, const session_end&) {});
          }
        });
      REQUIRE(eventually([&] { return asked > 100'000; }));
      const auto began = std::chrono::steady_clock::now();
      CHECK(test::get(s.address(), "/health").status == 200);
      CHECK(std::chrono::steady_clock::now() - began < 10s);
      const auto client = connect(s);  // does not answer its Close
      const auto stopping = std::chrono::steady_clock::now();
      s.shutdown(500ms);
      CHECK(std::chrono::steady_clock::now() - stopping < 30s);
    }
    for (const auto& one : sessions) CHECK(one.state() == session_state::ended);
    CHECK(answered == asked);
  }

  TEST_CASE("a handler may drain and reload the server while start has not returned") {
    for (int round = 0; round < 20; ++round) {
      // No client's own address, so that none that comes early is its own server.
      server_options options{.listen = "127.0.0.9:0", .threads = 1};
      {
        const server before{options};
        options.listen = before.address();
      }
      server s;
      options.internal = "127.0.0.1:0";
      const auto wanted = options;
      mailbox<bool> called;
      options.on_open = [&](const connection&) {
        s.reload(wanted);
        s.drain();
        called.put(!s.address().empty() && !s.internal_address().empty());
      };
      // Connects as soon as somebody listens.
      std::jthread client{[&](const std::stop_token& stop) {
        for (bool done = false; !done && !stop.stop_requested();) {
          try {
            raw_client one{options.listen};
            one.upgrade("/ws");
            done = one.receive_frame()->close_code() == 1012;
          } catch (const std::runtime_error&) {  // not yet
          }
        }
      }};
      s.start(options);
      CHECK(called.take());
    }
  }

  TEST_CASE("concurrent shutdowns, and broadcasts meanwhile, all come back") {
    server s{on_a_free_port()};
    const auto client = connect(s);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { s.shutdown(50ms); });
    for (int i = 0; i < 1000; ++i) s.broadcast(message::text("x"));
    threads.clear();
    CHECK_FALSE(s.broadcast(message::text("x")));
  }
}

}  // namespace fairlead
