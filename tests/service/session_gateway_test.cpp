#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include <fairlead/caf/client.hpp>
#include <fairlead/server.hpp>

#include "service/address.hpp"
#include "service/options.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/foreign_system.hpp"
#include "tests/support/raw_client.hpp"
#include "tests/support/waiting.hpp"

namespace fairlead {
namespace {

using namespace std::chrono_literals;
using test::foreign;

server_options with_actors() {
  server_options o{.listen = "127.0.0.1:0", .actors = "127.0.0.1:0", .threads = 1};
  o.session_types["run"] = {};
  o.session_types["lingers"] = {.options = {.on_owner_gone = owner_gone::lingers}};
  return o;
}
std::uint16_t port_of(const server& s) { return service::parse_address(s.actors_address())->port; }

session_client connect(foreign& there, const server& s, std::function<void()> lost = {}) {
  auto c = session_client::connect(there.system,
                                   {.port = port_of(s), .tls = false, .on_lost = std::move(lost)});
  if (!c) throw std::runtime_error{there.system.render(c.error())};
  return std::move(*c);
}

struct spawned_there {
  caf::expected<remote::spawned> result = caf::error{};
  remote_session session;
};
spawned_there spawn(const session_client& c, std::string type, spawn_options how = {}) {
  test::mailbox<spawned_there> answers;
  c.spawn(std::move(type), std::move(how), [&](caf::expected<remote::spawned> r, remote_session s) {
    answers.put({std::move(r), std::move(s)});
  });
  return answers.take();
}
/// The answer to one call that takes a callback last.
template <class T, class Call>
caf::expected<T> await(Call call) {
  test::mailbox<caf::expected<T>> answers;
  call([&](caf::expected<T> r) { answers.put(std::move(r)); });
  return answers.take();
}
caf::expected<emit_report> emit(const remote_session& s, std::string data = "1",
                                emit_options how = {}) {
  return await<emit_report>(
      [&](auto done) { s.emit("step", std::move(data), how, std::move(done)); });
}
std::string text(const remote::changed& c) {
  auto all = std::string{to_string(c.state)};
  if (c.state == session_state::ended)
    (all += " ") += std::string{to_string(c.by)} + " " + c.reason;
  return all;
}

}  // namespace

TEST_SUITE("service/session_gateway") {
  TEST_CASE("another actor system spawns a session, emits, watches, and ends it") {
    server s;
    s.start(with_actors());
    foreign there;
    const auto client = connect(there, s);
    auto made = spawn(client, "run", {.id = "r1", .user = "ann", .metadata = {{"team", "x"}}});
    REQUIRE(made.result);
    CHECK(made.result->result == spawn_result::spawned);
    CHECK(made.result->token.size() >= 40);
    CHECK(s.find_session("r1").user() == "ann");
    test::mailbox<std::string> states;
    made.session.watch([&](const remote::changed& c) { states.put(text(c)); });
    CHECK(states.take() == "detached");

    CHECK(emit(made.session)->result == emit_result::kept);
    test::raw_client socket{s.address()};
    socket.upgrade("/ws?session=r1&token=" + made.result->token);
    CHECK(states.take() == "attached");
    const auto second = emit(made.session, R"({"n":2})", {.key = "k"});
    REQUIRE(second);
    CHECK(second->result == emit_result::written);
    CHECK(second->offset == 2);
    CHECK(emit(made.session, "9", {.key = "k"})->duplicate);
    CHECK(emit(made.session, "3", {.acked = true, .ack_timeout = 1ms})->result ==
          emit_result::unacked);
    CHECK(emit(made.session, "no json")->result == emit_result::invalid_data);
    const auto fresh = await<std::string>([&](auto done) { made.session.issue_token(done); });
    REQUIRE(fresh);
    CHECK(fresh->size() == made.result->token.size());
    CHECK(*fresh != made.result->token);

    const auto ended = await<session_end>([&](auto done) { made.session.end("all done", done); });
    REQUIRE(ended);
    CHECK(ended->reason == "all done");
    CHECK(states.take() == "ended application all done");
    CHECK(emit(made.session)->result == emit_result::ended);
    CHECK(emit(client.find("nobody"))->result == emit_result::no_such_session);
    client.find("nobody").watch([&](const remote::changed& c) { states.put(text(c)); });
    CHECK(states.take() == "ended application no such session");
  }

  TEST_CASE("every watch is told the state that the session is in, the second of one client too") {
    server s;
    s.start(with_actors());
    foreign there;
    const auto client = connect(there, s);
    const auto made = spawn(client, "run", {.id = "r1"});
    test::mailbox<std::string> states;
    const auto watch = [&](const std::string& who) {
      made.session.watch([&, who](const remote::changed& c) { states.put(who + " " + text(c)); });
    };
    watch("first");
    CHECK(states.take() == "first detached");
    watch("second");
    CHECK(states.take() == "second detached");
    test::raw_client socket{s.address()};
    socket.upgrade("/ws?session=r1&token=" + made.result->token);
    CHECK(states.take() == "first attached");
    CHECK(states.take() == "second attached");
    // Two at once, before the first has been told anything.
    const auto other = connect(there, s);
    for (const auto* who : {"third", "fourth"})
      other.find("r1").watch(
          [&, who](const remote::changed& c) { states.put(who + (" " + text(c))); });
    CHECK(states.take() == "third attached");
    CHECK(states.take() == "fourth attached");
    socket.close();
    for (int i = 0; i < 4; ++i) CHECK(states.take().ends_with(" reconnecting"));
    watch("fifth");
    CHECK(states.take() == "fifth reconnecting");
    CHECK(await<session_end>([&](auto done) { made.session.end("done", done); }));
    for (int i = 0; i < 5; ++i) CHECK(states.take().ends_with(" ended application done"));
    watch("late");
    CHECK(states.take() == "late ended application done");
  }

  TEST_CASE("what cannot be spawned says why") {
    server s;
    auto options = with_actors();
    options.limits.max_sessions = 1;
    s.start(options);
    foreign there;
    const auto client = connect(there, s);
    CHECK(spawn(client, "shell").result->result == spawn_result::unknown_type);
    const auto bad = spawn(client, "run", {.id = "no spaces"});
    CHECK(bad.result->result == spawn_result::invalid);
    CHECK_FALSE(bad.result->problem.empty());
    CHECK(spawn(client, "run", {.id = "a"}).result->result == spawn_result::spawned);
    const auto again = spawn(client, "run", {.id = "a"});
    CHECK(again.result->result == spawn_result::exists);
    CHECK(again.result->token.empty());
    CHECK(again.session.id() == "a");
    CHECK(spawn(client, "run").result->result == spawn_result::too_many);
  }

  TEST_CASE("emits of one thread are in its order, and each is answered") {
    server s;
    auto options = with_actors();
    options.limits.max_queued_bytes = 16U
                                      << 20U;  // the session's own bound is not what this is about
    s.start(options);
    foreign there;
    const auto client = connect(there, s);
    const auto made = spawn(client, "run");
    // More than the gateway lets wait: sockets are not read meanwhile.
    constexpr std::uint64_t most = 4'000;
    test::mailbox<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < most; ++i)
      made.session.emit("n", std::to_string(i), {},
                        [&](caf::expected<emit_report> r) { offsets.put(r ? r->offset : 0); });
    for (std::uint64_t i = 1; i <= most; ++i) CHECK(offsets.take() == i);
  }

  TEST_CASE("when a client is gone, its sessions follow their policy and others' are unhurt") {
    server s;
    s.start(with_actors());
    foreign staying;
    const auto other = connect(staying, s);
    const auto theirs = spawn(other, "run", {.id = "theirs"});
    auto leaving = std::make_unique<foreign>();
    {
      const auto client = connect(*leaving, s);
      spawn(client, "run", {.id = "ends"});
      spawn(client, "lingers", {.id = "lingers"});
      CHECK(s.session_count() == 3);
    }  // the last copy: the owner has ended
    CHECK(test::eventually([&] { return s.session_count() == 2; }));
    CHECK_FALSE(s.find_session("ends"));
    CHECK(s.find_session("lingers").state() == session_state::detached);
    CHECK(emit(theirs.session)->result == emit_result::kept);
    // A whole system that goes, with its sockets.
    auto last = std::make_unique<session_client>(connect(*leaving, s));
    spawn(*last, "run", {.id = "ends"});
    last.reset();
    leaving.reset();
    CHECK(test::eventually([&] { return s.session_count() == 2; }));
  }

  TEST_CASE(
      "a server that stops says so to those who watch, and the client learns that it is lost") {
    auto s = std::make_unique<server>();
    s->start(with_actors());
    foreign there;
    test::mailbox<std::string> told;
    const auto client = connect(there, *s, [&] { told.put("lost"); });
    const auto made = spawn(client, "run");
    made.session.watch([&](const remote::changed& c) { told.put(text(c)); });
    CHECK(told.take() == "detached");
    s->shutdown();
    CHECK(told.take() == "ended shutdown server shutting down");
    s.reset();
    CHECK(told.take() == "lost");
    CHECK_FALSE(emit(made.session));
    made.session.watch([&](const remote::changed& c) { told.put(text(c)); });
    CHECK(told.take() == "ended application the node is lost");
    CHECK_FALSE(spawn(client, "run").result);
  }

  TEST_CASE(
      "a callback that throws costs nobody anything: not its client, its sessions or on_lost") {
    auto s = std::make_unique<server>();
    s->start(with_actors());
    foreign there;
    test::mailbox<std::string> told;
    const auto client = connect(there, *s, [&] {
      told.put("lost");
      throw std::runtime_error{"lost"};
    });
    const auto made = spawn(client, "run", {.id = "r1"});
    const auto put_and_throw = [&](const char* what) {
      return [&, what](const auto&...) {
        told.put(what);
        throw std::runtime_error{what};
      };
    };
    client.spawn("run", {.id = "r2"}, put_and_throw("spawned"));
    made.session.emit("step", "1", {}, put_and_throw("emitted"));
    made.session.issue_token(put_and_throw("issued"));
    client.find("r2").end("over", put_and_throw("ended"));
    std::set<std::string> all;  // of two sessions: in no order
    for (int i = 0; i < 4; ++i) all.insert(told.take());
    CHECK(all == std::set<std::string>{"spawned", "emitted", "issued", "ended"});
    made.session.watch(put_and_throw("first"));
    CHECK(told.take() == "first");
    made.session.watch(put_and_throw("second"));
    CHECK(told.take() == "second");
    CHECK_NOTHROW(remote_session{}.watch(put_and_throw("nowhere")));
    CHECK(told.take() == "nowhere");
    CHECK(emit(made.session)->result == emit_result::kept);
    CHECK(s->find_session("r1"));
    s->shutdown();
    CHECK(told.take() == "first");
    CHECK(told.take() == "second");
    s.reset();
    CHECK(told.take() == "lost");
  }

  TEST_CASE("beyond loopback there is no listening without certificates on both sides") {
    const auto where = [](server_options o) {
      const auto found = service::check(o);
      return found.empty() ? std::string{} : found.front().where;
    };
    auto o = with_actors();
    CHECK(where(o).empty());
    o.actors = "0.0.0.0:0";
    CHECK(where(o) == "actors");
    o.actors = "nonsense";
    CHECK(where(o) == "actors");
    o.actors = "127.0.0.1:0";
    o.actors_tls.certificate = "c.pem";
    CHECK(where(o) == "actors_tls");
    o.actors_tls.key = "k.pem";
    o.actors_tls.client_ca = "ca.pem";
    CHECK(where(o).empty());
    o.actors = "0.0.0.0:0";
    CHECK(where(o).empty());
  }
}

}  // namespace fairlead
