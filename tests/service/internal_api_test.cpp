#include <future>
#include <set>
#include <thread>

#include <doctest/doctest.h>

#include <fairlead/server.hpp>

#include "tests/support/http_client.hpp"
#include "tests/support/waiting.hpp"

namespace fairlead {
namespace {

using namespace std::chrono_literals;
using test::get;
using test::post;
using test::raw_client;

/// A server with both listeners, and clients of it.
struct fixture {
  test::mailbox<connection> opened;
  server s;
  std::vector<raw_client> clients;

  explicit fixture(std::string token = {}) {
    server_options options{.listen = "127.0.0.1:0",
                           .internal = "127.0.0.1:0",
                           .internal_token = std::move(token),
                           .threads = 2};
    options.on_upgrade = [](const upgrade_request& r) -> admission {
      return admit{std::string{r.query}};
    };
    options.on_open = [this](const connection& c) { opened.put(c); };
    s.start(options);
  }
  /// Connects as this user and returns the connection's id as text.
  std::string join(std::string_view user = {}) {
    clients.emplace_back(s.address()).upgrade("/ws?" + std::string{user});
    return to_string(opened.take().id());
  }
  [[nodiscard]] std::string api() const { return s.internal_address(); }
};

}  // namespace

TEST_SUITE("service/internal_api") {
  TEST_CASE_FIXTURE(
      fixture,
      "GET / lists the endpoints; what is not there is 404, the wrong method 405 with Allow") {
    const auto index = get(api(), "/");
    CHECK(index.status == 200);
    CHECK(index.body.at("endpoints").as_array().size() == 22);
    CHECK(get(api(), "/health").body.at("status") == "ok");
    CHECK(get(api(), "/ready").body.at("status") == "ready");
    CHECK(test::request(api(), "DELETE", "/api/drain").has("\r\nAllow: GET, HEAD, POST\r\n"));
    const auto missing = get(api(), "/debug/conections");
    CHECK(missing.status == 404);
    CHECK(missing.body.at("error").as_string().find("did you mean \"/debug/connections\"?") !=
          std::string::npos);
    const auto wrong = post(api(), "/debug/tree", "{}");
    CHECK(wrong.status == 405);
    CHECK(wrong.has("\r\nAllow: GET, HEAD\r\n"));
    CHECK(get(api(), "/api/send").status == 405);
    raw_client client{api()};
    client.send(raw_client::upgrade_request("/ws"));
    CHECK(client.receive_reply().status == 404);
  }

  TEST_CASE_FIXTURE(fixture,
                    "/debug/tree: the supervisor, a roster for each loop, their connections") {
    join();
    const auto tree = get(api(), "/debug/tree");
    CHECK(tree.status == 200);
    CHECK(tree.body.at("unanswered").as_array().empty());
    const auto& supervisor = tree.body.at("supervisor");
    CHECK(supervisor.at("connections") == 1U);
    REQUIRE(supervisor.at("rosters").as_array().size() == 2);
    std::int64_t open = 0;
    for (const auto& roster : supervisor.at("rosters").as_array()) {
      CHECK(roster.at("answered") == true);
      CHECK(roster.at("loop_lag_us").to_number<std::int64_t>() >= 0);
      open += roster.at("by_state").at("open").to_number<std::int64_t>();
    }
    CHECK(open == 1);
    CHECK(tree.body.at("server").at("status") == "ok");
  }

  TEST_CASE_FIXTURE(
      fixture,
      "/debug/connections: the table, filtered, sorted and paged; a bad parameter is 400") {
    std::set<std::string> joined;
    for (int i = 0; i < 5; ++i) joined.insert(join(i % 2 == 0 ? "even" : "odd"));
    CHECK(get(api(), "/debug/connections").body.at("returned") == 5U);
    CHECK(get(api(), "/debug/connections?user=odd").body.at("matching") == 2U);
    CHECK(get(api(), "/debug/connections?state=closing").body.at("matching") == 0U);

    std::set<std::string> seen;
    std::string cursor;
    for (int page = 0; page < 3; ++page) {
      const auto reply = get(api(), "/debug/connections?limit=2&cursor=" + cursor);
      for (const auto& row : reply.body.at("connections").as_array())
        seen.emplace(row.at("id").as_string());
      const auto& next = reply.body.at("next_cursor");
      CHECK(next.is_null() == (page == 2));
      if (next.is_string()) cursor = next.as_string().c_str();
    }
    CHECK(seen == joined);

    const auto bad = get(api(), "/debug/connections?limit=0");
    CHECK(bad.status == 400);
    CHECK(bad.body.at("field") == "limit");
  }

  TEST_CASE_FIXTURE(
      fixture, "/debug/connections/<id>: one connection in full; unknown is 404, nonsense 400") {
    const auto id = join("ann");
    clients[0].send(test::text_frame("hello"));
    REQUIRE(test::eventually([&] {
      return get(api(), "/debug/connections/" + id).body.at("traffic").at("messages_in") == 1U;
    }));
    const auto one = get(api(), "/debug/connections/" + id);
    CHECK(one.status == 200);
    CHECK(one.body.at("state") == "open");
    CHECK(one.body.at("user") == "ann");
    CHECK(one.body.at("target") == "/ws?ann");
    CHECK(one.body.at("events").as_array().size() >= 2);
    CHECK(get(api(), "/debug/connections/c0-999999").status == 404);
    CHECK(get(api(), "/debug/connections/x").status == 400);
  }

  TEST_CASE_FIXTURE(fixture, "/debug/closed: who ended and why") {
    const auto id = join("ann");
    clients[0].send(test::close_frame(4001, "so long"));
    REQUIRE(
        test::eventually([&] { return get(api(), "/debug/closed").body.at("returned") == 1U; }));
    const auto reply = get(api(), "/debug/closed");
    const auto& record = reply.body.at("closed").at(0);
    CHECK(record.at("id") == boost::json::string_view{id});
    CHECK(record.at("code") == 4001U);
    CHECK(record.at("reason") == "so long");
    CHECK(record.at("initiator") == "peer");
    CHECK(record.at("clean") == true);
    CHECK(get(api(), "/debug/connections/" + id).status == 404);
  }

  TEST_CASE_FIXTURE(fixture, "/api/send: to a client, to a user; the outcome is the answer") {
    const auto id = join("ann");
    const auto sent =
        post(api(), "/api/send", R"({"client": ")" + id + R"(", "data": "hello", "wait": true})");
    CHECK(sent.status == 200);
    CHECK(sent.body.at("result").at("outcome") == "written");
    CHECK(clients[0].receive_frame()->payload == "hello");
    const auto to_user =
        post(api(), "/api/send", R"({"user": "ann", "data": {"n": 1}, "wait": true})");
    CHECK(to_user.body.at("result").at("written") == 1U);
    CHECK(to_user.body.at("result").at("addressed") == 1U);
    CHECK(clients[0].receive_frame()->payload == R"({"n":1})");
    const auto nobody =
        post(api(), "/api/send", R"({"client": "c0-99999", "data": "x", "wait": true})");
    CHECK(nobody.status == 200);
    CHECK(nobody.body.at("result").at("outcome") == "no_such_connection");
    CHECK(post(api(), "/api/send", R"({"user": "ann"})").body.at("field") == "data");
    CHECK(post(api(), "/api/send", "{").status == 400);
  }

  TEST_CASE_FIXTURE(fixture, "/api/send_all: everyone but those in except; the counts add up") {
    const auto first = join();
    join();
    const auto all = post(api(), "/api/send_all", R"({"data": "news", "wait": true})");
    CHECK(all.body.at("result").at("written") == 2U);
    CHECK(all.body.at("result").at("addressed") == 2U);
    const auto but = post(api(), "/api/send_all",
                          R"({"data": "secret", "wait": true, "except": [")" + first + R"("]})");
    CHECK(but.body.at("result").at("addressed") == 1U);
    CHECK(clients[0].receive_frame()->payload == "news");
    CHECK(clients[1].receive_frame()->payload == "news");
    CHECK(clients[1].receive_frame()->payload == "secret");
  }

  TEST_CASE("without wait, what is refused at once is not said to be accepted") {
    server s{{.listen = "127.0.0.1:0",
              .internal = "127.0.0.1:0",
              .limits = {.max_pending_broadcast_bytes = 10}}};
    for (const auto* what : {R"("client": "c0-1")", R"("user": "ann")"}) {
      const auto sent = post(s.internal_address(), "/api/send",
                             std::string{"{"} + what + R"(, "data": "more than ten bytes"})");
      CHECK(sent.status == 503);
      CHECK(sent.body.at("error").as_string().find("max_pending_broadcasts") != std::string::npos);
    }
    CHECK(post(s.internal_address(), "/api/send", R"({"user": "ann", "data": "x"})").status == 202);
  }

  TEST_CASE_FIXTURE(fixture, "/api/send and /api/send_all without wait: accepted at once") {
    const auto id = join("ann");
    const auto sent = post(api(), "/api/send", R"({"client": ")" + id + R"(", "data": "1"})");
    CHECK(sent.status == 202);
    CHECK(sent.body.at("result").at("outcome") == "pending");
    CHECK(post(api(), "/api/send", R"({"user": "ann", "data": "2"})").status == 202);
    CHECK(post(api(), "/api/send_all", R"({"data": "3"})").status == 202);
    for (const auto* text : {"1", "2", "3"}) CHECK(clients[0].receive_frame()->payload == text);
  }

  TEST_CASE_FIXTURE(fixture, "/api/send_all: who refused is listed where that is asked for") {
    const auto id = join("ann");
    s.remove(*parse_connection_id(id));
    REQUIRE(test::eventually(
        [&] { return get(api(), "/debug/connections/" + id).body.at("state") == "closing"; }));
    const auto reply =
        post(api(), "/api/send_all", R"({"data": "x", "wait": true, "refused_ids": true})");
    CHECK(reply.status == 200);
    CHECK(reply.body.at("result").at("closing") == 1U);
    const auto& refused = reply.body.at("result").at("refused_ids").as_array();
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].at("client") == boost::json::string_view{id});
    CHECK(refused[0].at("outcome") == "closing");
    CHECK(post(api(), "/api/send_all", R"({"data": "x", "ttl_ms": 0})").body.at("field") ==
          "ttl_ms");
  }

  TEST_CASE_FIXTURE(fixture, "/api/send: a time to live that has passed is the outcome") {
    const auto id = join("ann");
    // The client reads nothing: once several of these wait, the kernel takes no more.
    const auto large = message::text(std::string(128 * 1024, 'x'));
    REQUIRE(test::eventually([&] {
      s.send(*parse_connection_id(id), large, {.policy = slow_policy::drop_newest});
      const auto one = get(api(), "/debug/connections/" + id);
      return one.body.at("wire_bytes").to_number<std::size_t>() > 4 * large.size();
    }));
    const auto reply =
        post(api(), "/api/send",
             R"({"client": ")" + id +
                 R"(", "data": "x", "ttl_ms": 50, "policy": "drop_oldest", "wait": true})");
    CHECK(reply.status == 200);
    CHECK(reply.body.at("result").at("outcome") == "expired");
  }

  TEST_CASE_FIXTURE(fixture, "/api/disconnect: a client with code and reason, a user, nobody") {
    const auto id = join("ann");
    join("bob");
    const auto body =
        R"({"client": ")" + id + R"(", "disconnect": {"code": 4003, "reason": "out"}})";
    CHECK(post(api(), "/api/disconnect", body).body.at("result").at("outcome") == "initiated");
    const auto close = clients[0].receive_frame();
    REQUIRE(close);
    CHECK(close->close_code() == 4003);
    CHECK(close->close_reason() == "out");
    CHECK(post(api(), "/api/disconnect", body).body.at("result").at("outcome") ==
          "already_closing");
    const auto closing = get(api(), "/debug/connections/" + id);
    CHECK(closing.body.at("state") == "closing");
    CHECK(closing.body.at("last_close").at("code") == 4003U);
    CHECK(closing.body.at("last_close").at("initiator") == "application");
    CHECK(post(api(), "/api/disconnect", R"({"user": "bob"})").body.at("result").at("initiated") ==
          1U);
    CHECK(post(api(), "/api/disconnect", R"({"user": "eve"})").body.at("result").at("initiated") ==
          0U);
    CHECK(post(api(), "/api/disconnect", R"({"user": "a", "disconnect": {"code": 1006}})").status ==
          400);
  }

  TEST_CASE("with a token: nothing but /health without it") {
    const fixture f{"s3cret"};
    CHECK(get(f.api(), "/health").status == 200);
    const auto refused = get(f.api(), "/debug/tree");
    CHECK(refused.status == 401);
    CHECK(refused.has("\r\nWWW-Authenticate: Bearer"));
    CHECK(get(f.api(), "/debug/tree", "Authorization: Bearer s3cret\r\n").status == 200);
    CHECK(get(f.api(), "/debug/tree", "Authorization: Bearer wrong\r\n").status == 401);
  }

  TEST_CASE_FIXTURE(fixture, "a web page's request is refused") {
    CHECK(get(api(), "/debug/tree", "Origin: https://example.org\r\n").status == 403);
  }

  TEST_CASE("a loop that is stuck: debug answers and says which") {
    test::mailbox<bool> entered;
    std::promise<void> release;
    auto released = release.get_future().share();
    server s;
    server_options options{.listen = "127.0.0.1:0", .internal = "127.0.0.1:0", .threads = 1};
    options.on_message = [&](const connection&, const message&) {
      entered.put(true);
      released.wait();
    };
    s.start(options);
    raw_client client{s.address()};
    client.upgrade("/ws");
    client.send(test::text_frame("block"));
    entered.take();
    const auto tree = get(s.internal_address(), "/debug/tree");
    CHECK(tree.status == 200);
    CHECK_FALSE(tree.body.at("unanswered").as_array().empty());
    const auto table = get(s.internal_address(), "/debug/connections");
    CHECK(table.status == 200);
    CHECK(table.body.at("unanswered_loops").as_array().size() == 1);
    CHECK(get(s.internal_address(), "/health").status == 200);
    release.set_value();
    CHECK(test::eventually([&] {
      return get(s.internal_address(), "/debug/tree").body.at("unanswered").as_array().empty();
    }));
  }

  TEST_CASE("questions during a shutdown are answered or refused, and nothing hangs") {
    for (int round = 0; round < 5; ++round) {
      fixture f;
      for (int i = 0; i < 4; ++i) f.join("ann");
      std::jthread curious{[api = f.api()](const std::stop_token& stop) {
        const char* targets[] = {"/debug/tree", "/debug/connections", "/debug/closed", "/health"};
        for (std::size_t i = 0; !stop.stop_requested(); ++i) {
          try {
            test::request(api, "GET", targets[i % 4]);
          } catch (const std::runtime_error&) {
            return;  // the listener is gone
          }
        }
      }};
      CHECK(f.s.shutdown(20ms).connections == 4);
    }
  }

  TEST_CASE_FIXTURE(fixture, "/metrics: what there is, as Prometheus reads it") {
    join("ann");
    clients.back().send(test::text_frame("hello"));
    REQUIRE(test::eventually([&] {
      return test::request(api(), "GET", "/metrics")
                 .body.find("\nfairlead_messages_received_total 1\n") != std::string::npos;
    }));
    const auto reply = test::request(api(), "GET", "/metrics");
    CHECK(reply.status == 200);
    CHECK(reply.has("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    CHECK(reply.body.find("\nfairlead_connections{state=\"open\"} 1\n") != std::string::npos);
    CHECK(reply.body.find("\nfairlead_users 1\n") != std::string::npos);
    CHECK(reply.body.find("ann") == std::string::npos);  // nobody is named
    CHECK(reply.body.find("127.0.0.1") == std::string::npos);
  }

  TEST_CASE("/metrics is behind the token, as everything that tells of clients is") {
    fixture f{"s3cret"};
    CHECK(test::request(f.api(), "GET", "/metrics").status == 401);
    CHECK(
        test::request(f.api(), "GET", "/metrics", {}, "Authorization: Bearer s3cret\r\n").status ==
        200);
  }
}

}  // namespace fairlead
