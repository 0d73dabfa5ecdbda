#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include <fairlead/caf/client.hpp>

#include "actors/session_core.hpp"
#include "actors/session_gateway.hpp"
#include "service/address.hpp"
#include "tests/support/foreign_system.hpp"
#include "tests/support/raw_client.hpp"
#include "tests/support/threaded_loop.hpp"
#include "tests/support/waiting.hpp"

/// The gateway's bounds on one owner, made small; and peers and nodes that fall silent.
namespace fairlead {
namespace {

using namespace std::chrono_literals;
using test::foreign;

/// A gateway before a backbone without sockets.
struct node {
  explicit node(actors::gateway_options o = {},
                const std::function<void(actors::backbone_options&)>& adjust = {}) {
    actors::backbone_options b;
    b.loops = {loop};
    b.side = side;
    b.session_types["run"] = {};
    b.valid_json = [](std::string_view) { return true; };
    if (adjust) adjust(b);
    backbone = std::make_unique<actors::backbone>(std::move(b));
    o.sessions = backbone.get();
    o.logger = log;
    gateway = std::make_unique<actors::session_gateway>(std::move(o));
  }
  ~node() {
    if (!backbone) return;
    auto done = std::make_shared<std::promise<void>>();
    auto stopped = done->get_future();
    backbone->stop(1s, close_code::going_away, "", [done](const auto&) { done->set_value(); });
    stopped.wait();
    gateway.reset();
    loop->stop();
    side->stop();
  }
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  [[nodiscard]] std::uint16_t port() const {
    return service::parse_address(gateway->address())->port;
  }
  std::shared_ptr<test::threaded_loop> loop = std::make_shared<test::threaded_loop>(),
                                       side = std::make_shared<test::threaded_loop>();
  std::shared_ptr<test::shared_log> log = std::make_shared<test::shared_log>();
  std::unique_ptr<actors::backbone> backbone;
  std::unique_ptr<actors::session_gateway> gateway;
};

/// An actor of another system that speaks the messages itself, one at a time.
struct speaker {
  speaker(foreign& there, const node& n) : self(there.system) {
    auto found = there.system.middleman().remote_actor("127.0.0.1", n.port());
    if (!found) throw std::runtime_error{there.system.render(found.error())};
    door = std::move(*found);
  }
  template <class Answer, class Request>
  Answer ask(Request what) {
    std::optional<Answer> got;
    self->request(door, test::longest_wait, std::move(what))
        .receive([&](Answer& a) { got = std::move(a); }, [](const caf::error&) {});
    REQUIRE(got);
    return *got;
  }
  /// What comes without being the answer to `ask`.
  template <class Message>
  Message receive() {
    std::optional<Message> got;
    self->receive([&](Message& m) { got = std::move(m); }, caf::after(test::longest_wait) >> [] {});
    REQUIRE(got);
    return *got;
  }
  remote::emitted emit(remote::emit what) { return ask<remote::emitted>(std::move(what)); }
  caf::scoped_actor self;
  caf::actor door;
};

constexpr const char* r1 = "r1";
remote::spawn spawn_run(std::string id) {
  remote::spawn s;
  s.type = "run";
  s.id = std::move(id);
  return s;
}
remote::spawn spawn_r1() { return spawn_run(r1); }
remote::emit plain_emit() { return {r1, "e", "1", {}, false, 0}; }
/// One that will not be answered: nobody acknowledges anything here.
remote::emit hopeless_emit() { return {r1, "e", "1", {}, true, 300'000}; }

/// Shows a sign of life once, then takes requests and never answers.
caf::behavior mute(caf::event_based_actor* self) {
  auto open = std::make_shared<std::vector<caf::response_promise>>();
  const auto keep = [self, open] { open->push_back(self->make_response_promise()); };
  return {[keep, open](const remote::sign_of_life& what) {
            keep();
            if (open->size() == 1) open->front().deliver(what);
          },
          [keep](const remote::emit&) { keep(); }, [](const remote::leave&) {}};
}

session_client connect(foreign& there, std::uint16_t port, session_client::options o = {}) {
  o.port = port;
  auto c = session_client::connect(there.system, std::move(o));
  if (!c) throw std::runtime_error{there.system.render(c.error())};
  return std::move(*c);
}

}  // namespace

TEST_SUITE("service/gateway_bounds") {
  TEST_CASE("an owner has no more unanswered than the bound; what is beyond is refused at once") {
    node n{{.max_unanswered = 3}};
    foreign there;
    speaker s{there, n};
    REQUIRE(s.ask<remote::spawned>(spawn_r1()).result == spawn_result::spawned);
    for (int i = 0; i < 3; ++i) s.self->send(s.door, hopeless_emit());
    CHECK(s.emit(hopeless_emit()).result == emit_result::overflow);
    CHECK(s.emit(plain_emit()).result == emit_result::overflow);
    CHECK(s.ask<remote::changed>(remote::end{"r1", "x"}).reason ==
          "refused: too many requests wait");
    CHECK(s.ask<remote::token>(remote::issue_token{"r1"}).text.empty());
    // Another one of the same process has a count of its own; the session lives as long as it is not left.
    speaker other{there, n};
    CHECK(other.emit(plain_emit()).result == emit_result::kept);
    auto held = n.backbone->find_session("r1");
    held.lose_owner();  // ends it, and so answers all
    for (int i = 0; i < 3; ++i) CHECK(s.receive<remote::emitted>().result == emit_result::unacked);
    CHECK(s.emit(plain_emit()).result == emit_result::ended);
  }

  TEST_CASE("one that leaves and comes back still has its unanswered") {
    node n{{.max_unanswered = 2}};
    foreign there;
    speaker keeper{there, n};
    REQUIRE(keeper.ask<remote::spawned>(spawn_r1()).result == spawn_result::spawned);
    speaker s{there, n};
    for (int i = 0; i < 2; ++i) s.self->send(s.door, hopeless_emit());
    for (int i = 0; i < 3; ++i) s.self->send(s.door, remote::leave{});
    CHECK(s.emit(hopeless_emit()).result == emit_result::overflow);
  }

  TEST_CASE("a process may connect again and again: what has gone takes no place") {
    node n;
    foreign there;
    test::mailbox<std::string> told;
    const auto first = connect(there, n.port(), {.on_lost = [&] { told.put("lost"); }});
    first.spawn("run", {.id = "r1"}, [&](const auto& r, const auto&) { told.put(r->id); });
    CHECK(told.take() == "r1");
    for (int i = 0; i < 200; ++i) connect(there, n.port());
    first.find("r1").emit("e", "1", {}, [&](const caf::expected<emit_report>& r) {
      told.put(r ? "answered" : "no answer");
    });
    CHECK(told.take() == "answered");
    CHECK(n.log->count("actors.cut") == 0);
  }

  TEST_CASE("a process has as many clients as it may: one more is told so, the others go on") {
    node n{{.max_clients = 2}};
    foreign there, elsewhere;
    const auto first = connect(there, n.port());
    std::optional second{connect(there, n.port())};
    const auto third = session_client::connect(there.system, {.port = n.port()});
    REQUIRE_FALSE(third);
    CHECK(third.error() == caf::sec::cannot_connect_to_node);
    CHECK(there.system.render(third.error()).find("as many clients") != std::string::npos);
    connect(elsewhere, n.port());  // another process has a count of its own
    {
      // Whatever it asks.
      speaker s{there, n};
      const auto made = s.ask<remote::spawned>(spawn_r1());
      CHECK(made.result == spawn_result::too_many);
      CHECK(made.problem.find("as many clients") != std::string::npos);
      CHECK(s.emit(plain_emit()).result == emit_result::overflow);
      CHECK(s.ask<remote::changed>(remote::end{"r1", "x"}).reason.starts_with("refused"));
      s.self->send(s.door, remote::watch{"r1"});
      CHECK(s.receive<remote::changed>().reason.starts_with("refused"));
    }
    CHECK_FALSE(n.backbone->find_session("r1"));
    test::mailbox<bool> made;
    const auto spawn = [&](const session_client& c) {
      c.spawn("run", {}, [&](const caf::expected<remote::spawned>& r, const remote_session&) {
        made.put(r && r->result == spawn_result::spawned);
      });
      return made.take();
    };
    CHECK(spawn(first));
    CHECK(spawn(*second));
    second.reset();
    CHECK(test::eventually(
        [&] { return session_client::connect(there.system, {.port = n.port()}).engaged(); }));
    CHECK(n.log->count("actors.cut") == 0);
  }

  TEST_CASE("what waits for answers is bounded for all together, also if its askers are gone") {
    node n{{.max_peers = 2, .max_unanswered = 2}};
    foreign there;
    speaker keeper{there, n};
    REQUIRE(keeper.ask<remote::spawned>(spawn_r1()).result == spawn_result::spawned);
    for (int i = 0; i < 2; ++i) {
      speaker gone{there, n};
      for (int j = 0; j < 2; ++j) gone.self->send(gone.door, hopeless_emit());
    }
    CHECK(test::eventually(
        [&] { return keeper.emit(plain_emit()).result == emit_result::overflow; }));
    CHECK(keeper.ask<remote::token>(remote::issue_token{"r1"}).text.empty());
  }

  TEST_CASE("a session's options travel: those that cannot be are refused, not taken") {
    node n;
    foreign there;
    const auto client = connect(there, n.port());
    test::mailbox<std::pair<spawn_result, std::string>> made;
    const auto spawn = [&](session_options o) {
      client.spawn("run", {.id = "r1", .options = std::make_shared<session_options>(o)},
                   [&](const caf::expected<remote::spawned>& r, const remote_session&) {
                     made.put(r ? std::pair{r->result, r->problem}
                                : std::pair{spawn_result::invalid, std::string{"no answer"}});
                   });
      return made.take();
    };
    session_options o;
    o.max_messages = 7;
    o.max_age = 77s;
    o.on_owner_gone = owner_gone::lingers;
    CHECK(spawn({.max_messages = 0}).first == spawn_result::invalid);
    o.on_second_socket = static_cast<second_socket>(200);
    CHECK(spawn(o).first == spawn_result::invalid);
    o.on_second_socket = second_socket::takes_over;
    CHECK(spawn(o).first == spawn_result::spawned);
    const auto there_now = n.backbone->find_session("r1");
    REQUIRE(there_now);
    CHECK(there_now.core()->options->max_messages == 7);
    CHECK(*there_now.core()->options == o);
  }

  TEST_CASE("one more than may watch a session is refused") {
    node n{{.max_clients = 100}};
    foreign there;
    const auto mine = n.backbone->spawn_session("run", {.id = "r1"}).session;
    std::vector<std::unique_ptr<speaker>> watchers;
    const auto watch = [&] {
      watchers.push_back(std::make_unique<speaker>(there, n));
      watchers.back()->self->send(watchers.back()->door, remote::watch{"r1"});
      return watchers.back()->receive<remote::changed>();
    };
    for (int i = 0; i < 64; ++i) CHECK(watch().state == session_state::detached);
    const auto refused = watch();
    CHECK(refused.state == session_state::ended);
    CHECK(refused.reason.starts_with("refused"));
    watchers.erase(watchers.begin());  // whose end makes room
    CHECK(test::eventually([&] { return watch().state == session_state::detached; }));
    mine.end("over");
    CHECK(watchers.front()->receive<remote::changed>().reason == "over");
  }

  TEST_CASE("who watches a session that has as many watchers as it may is still told its states") {
    node n;
    foreign there;
    speaker s{there, n};
    const auto mine = n.backbone->spawn_session("run", {.id = "r1"}).session;
    test::mailbox<int> told;
    for (int i = 0; i < 8; ++i) mine.watch([&](session_state, const session_end&) { told.put(1); });
    for (int i = 0; i < 8; ++i) told.take();
    s.self->send(s.door, remote::watch{"r1"});
    CHECK(s.receive<remote::changed>().state == session_state::detached);
    mine.end("over");
    const auto last = s.receive<remote::changed>();
    CHECK(last.state == session_state::ended);
    CHECK(last.reason == "over");
  }

  TEST_CASE("past its connections a newcomer is refused, and who is there is served") {
    node n{{.max_peers = 1}};
    auto there = std::make_unique<foreign>();
    auto first = std::make_unique<session_client>(connect(*there, n.port()));
    foreign elsewhere;
    const auto try_another = [&] {
      return session_client::connect(elsewhere.system, {.port = n.port()});
    };
    CHECK_FALSE(try_another());
    CHECK(n.log->count("actors.refused", "peer=127.0.0.1 why=too many peers") >= 1);
    CHECK(n.gateway->counts().peers == 1);
    test::mailbox<bool> made;
    first->spawn("run", {}, [&](const auto& r, const auto&) { made.put(r.engaged()); });
    CHECK(made.take());
    first.reset();
    there.reset();
    CHECK(test::eventually([&] { return try_another().engaged(); }));
  }

  TEST_CASE("strangers who say nothing keep nobody out; with TLS as without") {
    const test::certified certificates;
    for (const auto* tls : {static_cast<const test::certified*>(nullptr), &certificates}) {
      actors::gateway_options o{.max_newcomers = 2, .introduction = 60s};
      if (tls) {
        o.certificate = tls->certificate;
        o.key = tls->key;
        o.ca = tls->ca_file;
      }
      node n{std::move(o)};
      test::raw_client oldest{n.gateway->address()};
      const test::raw_client second{n.gateway->address()};
      foreign there{tls};
      // Is one of them for a moment.
      const auto client = connect(there, n.port(), {.tls = tls != nullptr});
      while (oldest.receive_some()) continue;  // until it is closed
      CHECK(n.log->count("actors.refused", "peer=127.0.0.1 why=newer connections") == 1);
      CHECK(n.gateway->counts().peers == 1);
      // Who is known is none of them.
      const test::raw_client third{n.gateway->address()}, fourth{n.gateway->address()};
      CHECK(test::eventually([&] { return n.gateway->counts().refused == 2; }));
      CHECK(n.log->count("actors.cut") == 0);
      test::mailbox<bool> made;
      client.spawn("run", {}, [&](const auto& r, const auto&) { made.put(r.engaged()); });
      CHECK(made.take());
    }
  }

  TEST_CASE("a stranger who says nothing does not stay; with TLS as without") {
    const test::certified certificates;
    const node plain{{.introduction = 1ms}}, tls{{.certificate = certificates.certificate,
                                                  .key = certificates.key,
                                                  .ca = certificates.ca_file,
                                                  .introduction = 1ms}};
    for (const auto* n : {&plain, &tls}) {
      test::raw_client stranger{n->gateway->address()};
      while (stranger.receive_some()) continue;  // until it is closed
      CHECK(n->log->count("actors.refused", "peer=127.0.0.1 why=not in time") == 1);
      CHECK(n->gateway->counts().refused == 1);
    }
  }

  TEST_CASE("a peer that is silent is cut, one that signs its life stays") {
    node n{{.silence = 3s}};  // the other one may be held up for a moment
    foreign there, mute;
    const auto client = connect(there, n.port(), {.silence = 3s});
    CHECK(mute.system.middleman().remote_actor("127.0.0.1", n.port()));  // says no more than that
    REQUIRE(test::eventually([&] { return n.gateway->counts().accepted == 2; }));
    CHECK(test::eventually([&] { return n.gateway->counts().peers == 1; }));
    CHECK(n.log->count("actors.cut", "why=silent") == 1);
    test::mailbox<bool> made;
    client.spawn("run", {}, [&](const auto& r, const auto&) { made.put(r.engaged()); });
    CHECK(made.take());
    CHECK(n.gateway->counts().cut == 1);
  }

  TEST_CASE(
      "a node that answers nothing is lost after its silence, and what was asked is answered") {
    foreign silent;  // it listens, and that is all
    const auto node = silent.system.spawn(mute);
    const auto port = silent.system.middleman().publish(node, 0, "127.0.0.1");
    REQUIRE(port);
    foreign there;
    test::mailbox<std::string> told;
    const auto client =
        connect(there, *port, {.silence = 150ms, .on_lost = [&] { told.put("lost"); }});
    client.find("r1").emit("e", "1", {}, [&](const caf::expected<emit_report>& r) {
      told.put(r ? "answered" : "no answer");
    });
    CHECK(told.take() == "lost");
    CHECK(told.take() == "no answer");
    caf::anon_send_exit(node, caf::exit_reason::kill);
  }

  TEST_CASE("a client that is ended from outside says that its node is lost, as if it were") {
    foreign strange;  // its node tells whoever emits to exit
    const auto node = strange.system.spawn([](caf::event_based_actor* self) -> caf::behavior {
      return {[](const remote::sign_of_life& what) { return what; },
              [self](const remote::emit&) {
                self->send_exit(caf::actor_cast<caf::actor>(self->current_sender()),
                                caf::exit_reason::user_shutdown);
              },
              [](const remote::watch&) {}, [](const remote::leave&) {}};
    });
    const auto port = strange.system.middleman().publish(node, 0, "127.0.0.1");
    REQUIRE(port);
    foreign there;
    test::mailbox<std::string> told;
    const auto client = connect(there, *port, {.on_lost = [&] { told.put("lost"); }});
    client.find("r1").watch([&](const remote::changed& c) { told.put(c.reason); });
    client.find("r1").emit("e", "1", {});
    CHECK(told.take() == "the node is lost");
    CHECK(told.take() == "lost");
    caf::anon_send_exit(node, caf::exit_reason::kill);
  }

  TEST_CASE("what throws in the gateway is the end of one request, which is told so") {
    // As memory that runs out would.
    const auto throws = std::make_shared<std::atomic<bool>>(false);
    const auto check = [throws] {
      if (*throws) throw std::bad_alloc{};
    };
    node n{{.max_unanswered = 1}, [check](actors::backbone_options& b) {
             b.make_token = [check, made = 1'000'000]() mutable {
               check();
               return std::to_string(++made) + std::string(36, 'x');
             };
             b.valid_json = [check](std::string_view) {
               check();
               return true;
             };
           }};
    foreign there;
    speaker s{there, n};
    REQUIRE(s.ask<remote::spawned>(spawn_r1()).result == spawn_result::spawned);
    const auto is_refused = [&](auto what) {
      bool refused = false;
      s.self->request(s.door, test::longest_wait, std::move(what))
          .receive([](const caf::message&) {},
                   [&](const caf::error& e) { refused = e == caf::sec::runtime_error; });
      return refused;
    };
    *throws = true;
    for (int i = 0; i < 3; ++i) {
      CHECK(is_refused(plain_emit()));
      CHECK(is_refused(spawn_run("r2")));
    }
    *throws = false;
    CHECK(n.log->count("actors.request_failed", "what=std::bad_alloc") == 6);
    CHECK_FALSE(n.backbone->find_session("r2"));
    CHECK(s.emit(plain_emit()).result == emit_result::kept);
    s.self->send(s.door, remote::leave{});  // it still knows whose r1 is
    CHECK(test::eventually([&] { return !n.backbone->find_session(r1); }));
  }

  TEST_CASE("a client that has lost its node connects to its successor at the same address") {
    foreign there;
    auto first = std::make_unique<node>();
    const auto port = first->port();
    test::mailbox<std::string> told;
    const auto before = connect(there, port, {.on_lost = [&] { told.put("lost"); }});
    first.reset();
    CHECK(told.take() == "lost");
    const node second{{.port = port}};
    const auto after = connect(there, port);
    test::mailbox<bool> made;
    after.spawn("run", {.id = "r2"},
                [&](const caf::expected<remote::spawned>& r, const remote_session&) {
                  made.put(r.engaged());
                });
    CHECK(made.take());
    CHECK(second.backbone->find_session("r2"));
  }

  TEST_CASE("over IPv6") {
    std::optional<node> n;
    try {
      n.emplace(actors::gateway_options{.host = "::1"});
    } catch (const std::runtime_error& e) {
      MESSAGE("no IPv6 here: " << e.what());
      return;
    }
    CHECK(n->gateway->address() == "[::1]:" + std::to_string(n->port()));
    foreign there;
    const auto client = connect(there, n->port(), {.host = "::1"});
    test::mailbox<bool> made;
    client.spawn("run", {.id = "r6"},
                 [&](const caf::expected<remote::spawned>& r, const remote_session&) {
                   made.put(r.engaged());
                 });
    CHECK(made.take());
  }
}

}  // namespace fairlead
