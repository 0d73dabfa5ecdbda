#include <atomic>
#include <latch>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include <fairlead/server.hpp>

#include "tests/support/http_client.hpp"
#include "tests/support/waiting.hpp"

namespace fairlead {
namespace {

using test::get;
using test::post;
using test::raw_client;

/// A server with two types of session, and a backend's view of it.
struct fixture {
  server s;

  fixture() {
    server_options options{.listen = "127.0.0.1:0", .internal = "127.0.0.1:0", .threads = 2};
    options.limits.max_sessions = 5;
    options.session_types["run"] = {};
    options.session_types["chat"] = {};
    s.start(options);
  }
  [[nodiscard]] std::string api() const { return s.internal_address(); }
  test::json_reply spawn(const std::string& id, const std::string& more = "") {
    return post(api(), "/api/spawn_session", R"({"type": "run", "id": ")" + id + "\"" + more + "}");
  }
  test::json_reply emit(const std::string& id, const std::string& more = "") {
    return post(api(), "/api/emit",
                R"({"session": ")" + id + R"(", "type": "step", "data": {"n": 1})" + more + "}");
  }
  raw_client attach(const std::string& id, std::string_view token) {
    raw_client client{s.address()};
    client.upgrade("/ws?session=" + id + "&token=" + std::string{token});
    return client;
  }
};
std::string text_of(const boost::json::value& v) { return v.as_string().c_str(); }
std::string next(raw_client& client) {
  const auto frame = client.receive_frame();
  return frame && frame->opcode == 1 ? frame->payload : std::string{"no text"};
}
bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Holds its loop until it is let go.
class stuck final : public session_behavior {
 public:
  stuck(std::latch& there, std::latch& let_go) : there_(there), let_go_(let_go) {}
  void on_timer(const session&, const std::string&) override {
    there_.count_down();
    let_go_.wait();
  }

 private:
  std::latch &there_, &let_go_;
};

}  // namespace

TEST_SUITE("service/session_api") {
  TEST_CASE("a token that was not issued because too many requests wait is no sign of an end") {
    std::latch there{1}, let_go{1};
    std::atomic<bool> full = false;
    server_options options{.listen = "127.0.0.1:0", .internal = "127.0.0.1:0", .threads = 1};
    options.session_types["stuck"] = {
        .behavior = [&](const session&) { return std::make_unique<stuck>(there, let_go); }};
    server s{options};
    const auto one = s.spawn_session("stuck", {.id = "s1"}).session;
    one.start_timer("now", {});
    there.wait();
    for (int i = 0; i < 257; ++i)
      one.issue_token([&](const std::string& token) { full = full || token.empty(); });
    CHECK(full);
    const auto busy = post(s.internal_address(), "/api/issue_token", R"({"session": "s1"})");
    CHECK(busy.status == 503);
    CHECK(busy.body.at("result").at("outcome") == "overflow");
    CHECK(says(text_of(busy.body.at("error")), "too many requests wait"));
    let_go.count_down();
  }

  TEST_CASE_FIXTURE(fixture, "a backend owns a session: spawn, emit, attach, ack, inbox, end") {
    const auto made = spawn("r1", R"(, "user": "ann", "metadata": {"team": "x"})");
    CHECK(made.status == 201);
    CHECK(made.body.at("result").at("outcome") == "spawned");
    CHECK(made.body.at("duplicate") == false);
    CHECK(made.body.at("session").at("state") == "detached");
    const auto kept = emit("r1", R"(, "wait": true)");
    CHECK(kept.status == 200);
    CHECK(kept.body.at("result").at("outcome") == "kept");
    CHECK(kept.body.at("result").at("offset") == 1);

    auto client = attach("r1", text_of(made.body.at("token")));
    CHECK(says(next(client), R"("recovered":true)"));
    CHECK(says(next(client), R"("offset":1,"type":"step","data":{"n":1})"));
    CHECK(emit("r1", R"(, "wait": true)").body.at("result").at("outcome") == "written");
    CHECK(says(next(client), R"("offset":2)"));

    std::thread acks{[&] {
      CHECK(says(next(client), R"("offset":3)"));
      client.send(test::text_frame(R"({"ack":3})"));
    }};
    const auto acked = emit("r1", R"(, "acked": true)");
    acks.join();
    CHECK(acked.body.at("result").at("outcome") == "acked");
    CHECK(acked.body.at("result").at("offset") == 3);

    // A poll that waits is answered by what comes; what it has had is not told again.
    std::thread speaks{[&] {
      client.send(test::text_frame("hello"));
      client.send(test::encode_frame(2, std::string_view{"\0\xFF", 2}));
    }};
    std::uint64_t after = 0;
    std::string had;
    while (after < 2) {
      const auto page =
          get(api(), "/api/session/r1/inbox?wait_ms=9000&after=" + std::to_string(after));
      REQUIRE(page.status == 200);
      CHECK(page.body.at("ended") == false);
      for (const auto& m : page.body.at("messages").as_array()) {
        CHECK(m.at("offset").to_number<std::uint64_t>() == ++after);
        had += m.as_object().contains("text") ? text_of(m.at("text")) : text_of(m.at("base64"));
        had += ' ';
      }
    }
    speaks.join();
    CHECK(had == "hello AP8= ");
    CHECK(get(api(), "/api/session/r1/inbox?after=2").body.at("messages").as_array().empty());
    const auto ahead = get(api(), "/api/session/r1/inbox?after=3");
    CHECK(ahead.status == 409);
    CHECK(ahead.body.at("last") == 2);
    CHECK(get(api(), "/api/session/r1/inbox?after=2&epoch=other").status == 409);

    const auto seen = get(api(), "/api/session/r1").body;
    CHECK(seen.at("state") == "attached");
    CHECK(seen.at("user") == "ann");
    CHECK(seen.at("metadata").at("team") == "x");
    CHECK(seen.at("offset") == 3);
    CHECK(seen.at("acked") == 3);
    CHECK(seen.at("inbox") == 0);
    CHECK(seen.at("sockets").as_array().front().at("sent") == 3);
    CHECK(seen.at("events").as_array().size() >= 2);

    const auto ended =
        post(api(), "/api/end_session", R"({"session": "r1", "reason": "all done"})");
    CHECK(ended.status == 200);
    CHECK(ended.body.at("result").at("outcome") == "ended");
    CHECK(ended.body.at("result").at("by") == "application");
    CHECK(ended.body.at("result").at("reason") == "all done");
    const auto closed = client.receive_frame();
    REQUIRE(closed);
    CHECK(closed->opcode == 8);
    CHECK(closed->payload == test::close_payload(4500, "all done"));
    const auto was = get(api(), "/debug/sessions/r1").body;
    CHECK(was.at("state") == "ended");
    CHECK(was.at("reason") == "all done");
    CHECK(was.at("offset") == 3);
    CHECK(get(api(), "/api/session/r1/inbox").body.at("ended") == true);
    CHECK(get(api(), "/api/session/r1/inbox").body.at("unread") == 0);
    CHECK(emit("r1").status == 410);
  }

  TEST_CASE_FIXTURE(fixture, "a spawn that is repeated with its key is the same session") {
    const auto body = R"({"type": "run", "key": "job-1"})";
    const auto first = post(api(), "/api/spawn_session", body);
    const auto again = post(api(), "/api/spawn_session", body);
    CHECK(again.status == 200);
    CHECK(again.body.at("duplicate") == true);
    CHECK(again.body.at("session").at("id") == first.body.at("session").at("id"));
    CHECK(again.body.at("token") != first.body.at("token"));
    const auto id = text_of(first.body.at("session").at("id"));
    // Either token lets a client in.
    auto one = attach(id, text_of(again.body.at("token")));
    CHECK(says(next(one), R"("recovered":true)"));
    const auto other =
        post(api(), "/api/spawn_session", R"({"type": "run", "user": "ann", "key": "job-1"})");
    CHECK(other.status == 400);
    CHECK(other.body.at("field") == "key");
    CHECK(s.session_count() == 1);

    post(api(), "/api/end_session", R"({"session": ")" + id + "\"}");
    const auto late = post(api(), "/api/spawn_session", body);
    CHECK(late.status == 410);
    CHECK(late.body.at("result").at("outcome") == "ended");
    CHECK(late.body.at("session").at("by") == "application");
  }

  TEST_CASE_FIXTURE(fixture,
                    "a key keeps nothing of a session that has ended, and leads to no other one") {
    const std::string body = R"({"type": "run", "id": "r1", "key": "job-1"})";
    CHECK(post(api(), "/api/spawn_session", body).status == 201);
    const std::weak_ptr core = s.find_session("r1").core();
    post(api(), "/api/end_session", R"({"session": "r1"})");
    CHECK(test::eventually([&] { return core.expired(); }));
    CHECK(spawn("r1").status == 201);  // another one, of the same id
    const auto late = post(api(), "/api/spawn_session", body);
    CHECK(late.status == 410);
    CHECK(late.body.at("result").at("outcome") == "ended");
    CHECK_FALSE(late.body.contains("token"));
    CHECK(post(api(), "/api/spawn_session", body + " ").status == 400);
  }

  TEST_CASE_FIXTURE(fixture,
                    "an emit that cannot be kept is refused by the name of what is wrong") {
    spawn("r1");
    const auto error = [&](const char* event) {
      return text_of(post(api(), "/api/emit", event).body.at("error"));
    };
    CHECK(error(R"({"session": "r1", "type": "e", "data": 1e999})").starts_with("data: "));
    CHECK(error(R"({"session": "r1", "type": "a b", "data": 1})").starts_with("type: "));
  }
  TEST_CASE_FIXTURE(fixture, "an emit that is repeated with its key is there once") {
    spawn("r1");
    const auto first = emit("r1", R"(, "key": "e1", "wait": true)");
    const auto again = emit("r1", R"(, "key": "e1", "wait": true)");
    CHECK(first.body.at("result").at("duplicate") == false);
    CHECK(again.body.at("result").at("duplicate") == true);
    CHECK(again.body.at("result").at("offset") == 1);
    CHECK(get(api(), "/api/session/r1").body.at("offset") == 1);
  }

  TEST_CASE_FIXTURE(fixture, "what is refused says why, by status and by name") {
    spawn("r1");
    const auto taken = spawn("r1");
    CHECK(taken.status == 409);
    CHECK(taken.body.at("result").at("outcome") == "exists");
    CHECK(taken.body.at("session").at("id") == "r1");
    CHECK(spawn("no spaces").status == 400);
    CHECK(post(api(), "/api/spawn_session", R"({"type": "game"})").body.at("field") == "type");
    for (int i = 2; i <= 5; ++i) CHECK(spawn("r" + std::to_string(i)).status == 201);
    const auto many = spawn("r6");
    CHECK(many.status == 503);
    CHECK(many.has("\r\nRetry-After: 1\r\n"));
    CHECK(many.body.at("result").at("outcome") == "too_many");

    CHECK(emit("nobody").status == 404);
    CHECK(emit("nobody").body.at("result").at("outcome") == "no_such_session");
    CHECK(get(api(), "/api/session/nobody").status == 404);
    CHECK(get(api(), "/api/session/nobody/inbox").status == 404);
    CHECK(post(api(), "/api/issue_token", R"({"session": "nobody"})").status == 404);
    CHECK(post(api(), "/api/end_session", R"({"session": "nobody"})").status == 404);
    // Known at once, so told though nobody asked to wait.
    const auto large =
        post(api(), "/api/emit",
             R"({"session": "r1", "type": "t", "data": ")" + std::string(300'000, 'x') + "\"}");
    CHECK(large.status == 413);
    CHECK(large.body.at("result").at("outcome") == "too_large");
    CHECK(large.body.at("error").as_string().find("262144 bytes with 400") !=
          std::string_view::npos);
    CHECK(large.body.at("error").as_string().ends_with("(max_bytes)"));
    const auto name = post(api(), "/api/emit", R"({"session": "r1", "type": "a b", "data": 1})");
    CHECK(name.status == 400);
    CHECK(emit("r1").status == 202);
    const auto late = emit("r1", R"(, "acked": true, "ack_timeout_ms": 1)");
    CHECK(late.status == 504);
    CHECK(late.body.at("result").at("outcome") == "unacked");
    CHECK(late.body.at("result").at("offset") == 2);
  }

  TEST_CASE_FIXTURE(fixture, "sessions are listed by id, filtered and paged; the ended apart") {
    for (const auto* id : {"a", "b", "c", "d"}) spawn(id);
    emit("a", R"(, "wait": true)");
    post(api(), "/api/spawn_session", R"({"type": "chat", "user": "ann", "id": "e"})");
    CHECK(get(api(), "/api/sessions?type=chat").body.at("matching") == 1);
    CHECK(get(api(), "/api/sessions?user=ann").body.at("returned") == 1);
    CHECK(get(api(), "/api/sessions?user=").body.at("returned") == 4);
    CHECK(get(api(), "/api/sessions?state=attached").body.at("matching") == 0);
    std::string seen, cursor;
    for (int page = 0; page < 3; ++page) {
      const auto reply = get(api(), "/debug/sessions?limit=2&cursor=" + cursor);
      CHECK(reply.body.at("matching") == 5);
      CHECK(reply.body.at("kept_bytes").as_int64() > 0);  // of all, on each page
      CHECK(reply.body.at("max_total_stream_bytes") == limits{}.max_total_stream_bytes);
      for (const auto& row : reply.body.at("sessions").as_array()) seen += text_of(row.at("id"));
      const auto& more = reply.body.at("next_cursor");
      CHECK(more.is_null() == (page == 2));
      if (more.is_string()) cursor = text_of(more);
    }
    CHECK(seen == "abcde");
    post(api(), "/api/end_session", R"({"session": "b"})");
    post(api(), "/api/end_session", R"({"session": "e"})");
    const auto ended = get(api(), "/api/sessions?state=ended&limit=1").body;
    CHECK(ended.at("matching") == 2);
    CHECK(ended.at("sessions").as_array().front().at("id") == "e");
    CHECK(get(api(), "/api/sessions").body.at("matching") == 3);

    const auto tree = get(api(), "/debug/tree").body.at("supervisor").at("sessions");
    CHECK(tree.at("sessions") == 3);
    const auto kept = tree.at("kept_bytes").as_int64();
    CHECK(kept == get(api(), "/api/session/a").body.at("kept_bytes").as_int64());
    CHECK(tree.at("max_total_stream_bytes") == limits{}.max_total_stream_bytes);
    CHECK(tree.at("types").as_array().back().at("type") == "run");
    CHECK(tree.at("types").as_array().back().at("by_state").at("detached") == 3);
    const auto page = test::request(api(), "GET", "/metrics").body;
    CHECK(says(page, R"(fairlead_sessions_ended_total{type="run",by="application"} 1)"));
    CHECK(says(page, "fairlead_session_kept_bytes " + std::to_string(kept)));
  }

  TEST_CASE_FIXTURE(fixture,
                    "a poll that waits is answered when the session ends or the server does") {
    spawn("r1");
    spawn("r2");
    std::thread first{
        [&] { CHECK(get(api(), "/api/session/r1/inbox?wait_ms=9000").body.at("ended") == true); }};
    std::thread second{
        [&] { CHECK(get(api(), "/api/session/r2/inbox?wait_ms=9000").body.at("ended") == true); }};
    for (const auto* id : {"/api/session/r1", "/api/session/r2"})
      REQUIRE(test::eventually([&] { return get(api(), id).body.at("inbox_readers") == 1; }));
    post(api(), "/api/end_session", R"({"session": "r1"})");
    first.join();
    s.shutdown();
    second.join();
  }

  TEST_CASE("without a registered type there is nothing to spawn, and the answer says so") {
    server s;
    s.start({.listen = "127.0.0.1:0", .internal = "127.0.0.1:0", .threads = 1});
    const auto refused = post(s.internal_address(), "/api/spawn_session", R"({"type": "run"})");
    CHECK(refused.status == 404);
    CHECK(says(text_of(refused.body.at("error")), "session_types"));
  }
}

}  // namespace fairlead
