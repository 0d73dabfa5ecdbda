#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/atom.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/io/basp/header.hpp>
#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include <fairlead/caf/client.hpp>
#include <fairlead/server.hpp>

#include "service/address.hpp"
#include "tests/support/foreign_system.hpp"
#include "tests/support/raw_client.hpp"
#include "tests/support/waiting.hpp"

/// What a peer of the actors' port may try; docs/adr/0019. After each attempt an owner's session is as it was.
namespace fairlead {
namespace {

using namespace std::chrono_literals;
using test::foreign;
namespace basp = caf::io::basp;
using basp::message_type;

/// A server, and somebody who has a session there and whom nothing of this may hurt.
struct victim {
  explicit victim(const test::certified* tls = nullptr) : there(tls) {
    server_options o{.listen = "127.0.0.1:0", .actors = "127.0.0.1:0", .threads = 1};
    if (tls) o.actors_tls = {tls->certificate, tls->key, tls->ca_file};
    o.session_types["run"] = {};
    o.logger = log;
    s.start(std::move(o));
    auto c = session_client::connect(there.system, {.port = port(), .tls = tls != nullptr});
    if (!c) throw std::runtime_error{there.system.render(c.error())};
    client.emplace(std::move(*c));
    test::mailbox<remote_session> made;
    client->spawn("run", {.id = "mine"}, [&](const auto&, remote_session r) { made.put(r); });
    session = made.take();
  }
  [[nodiscard]] std::uint16_t port() const {
    return service::parse_address(s.actors_address())->port;
  }
  /// The offset of one more event; 0 if it was not kept.
  std::uint64_t emit() {
    test::mailbox<std::uint64_t> got;
    session.emit("e", "1", {}, [&](caf::expected<emit_report> r) { got.put(r ? r->offset : 0); });
    return got.take();
  }
  std::shared_ptr<test::shared_log> log = std::make_shared<test::shared_log>();
  server s;
  foreign there;
  std::optional<session_client> client;
  remote_session session;
};

/// A peer that speaks CAF's protocol byte by byte.
class raw_peer {
 public:
  explicit raw_peer(victim& v) : system_(self_.system), socket_(v.s.actors_address()) {
    auto bytes = read(basp::header_size);
    basp::header h{};
    caf::binary_deserializer{system_, bytes.data(), bytes.size()}(h);
    REQUIRE(h.operation == message_type::server_handshake);
    bytes = read(h.payload_len);
    std::vector<std::string> applications;
    caf::binary_deserializer source{system_, bytes.data(), bytes.size()};
    REQUIRE_FALSE(source(node, applications, gateway));
  }
  template <class... What>
  std::string written(const What&... what) {
    std::vector<char> bytes;
    caf::binary_serializer sink{system_, bytes};
    REQUIRE_FALSE(sink(what...));
    return {bytes.begin(), bytes.end()};
  }
  void send(basp::header h, const std::string& payload, std::optional<std::uint32_t> claimed = {}) {
    h.payload_len = claimed.value_or(static_cast<std::uint32_t>(payload.size()));
    socket_.send(written(h) + payload);
  }
  void shake_hands(std::uint8_t flags = 0) { shake_hands(flags, system_.node()); }
  void shake_hands(std::uint8_t flags, const caf::node_id& as) {
    send({message_type::client_handshake, flags, 0, 0, 0, 0}, written(as));
  }
  /// To the actor of this id: something that is none of our messages.
  void send_direct(const std::string& payload, caf::actor_id to, std::uint8_t flags = 0,
                   caf::actor_id from = 77) {
    send({message_type::direct_message, flags, 0, 0, from, to}, payload);
  }
  /// That this actor of that node's has ended.
  void send_down(const caf::node_id& of, caf::actor_id who) { send_down(of, who, node); }
  void send_down(const caf::node_id& of, caf::actor_id who, const caf::node_id& to) {
    send({message_type::down_message, 0, 0, 0, who, 0}, written(of, to, caf::error{}));
  }
  [[nodiscard]] const caf::node_id& self() const { return system_.node(); }
  /// Payload: this message, whatever it is, by the name that CAF would look up.
  std::string message_named(const std::string& name, const std::string& content) {
    return written(std::vector<caf::strong_actor_ptr>{}, std::uint16_t{0}, name) + content;
  }
  /// The server has ended the connection.
  bool is_cut() {
    while (socket_.receive_some()) continue;
    return true;
  }
  caf::node_id node;
  caf::actor_id gateway = 0;

 private:
  std::string read(std::size_t n) {
    while (socket_.pending().size() - taken_ < n)
      if (!socket_.receive_some()) throw std::runtime_error{"cut within the handshake"};
    return socket_.pending().substr(std::exchange(taken_, taken_ + n), n);
  }
  foreign self_;
  caf::actor_system& system_;
  test::raw_client socket_;
  std::size_t taken_ = 0;
};

}  // namespace

TEST_SUITE("service/hostile_peer") {
  TEST_CASE("exit, down and other messages to the gateway, by CAF's own means") {
    victim v;
    foreign hostile;
    auto door = hostile.system.middleman().remote_actor("127.0.0.1", v.port());
    REQUIRE(door);
    caf::scoped_actor self{hostile.system};
    self->send_exit(*door, caf::exit_reason::kill);
    self->send(*door, caf::sys_atom::value, caf::get_atom::value, std::string{"info"});
    self->send(*door, caf::down_msg{self->address(), {}});
    self->send(*door, std::string{"shell"}, 42);
    caf::anon_send(*door, std::vector<char>(1'000, 'x'));
    caf::scoped_actor linked{hostile.system};
    linked->link_to(*door);
    // Answered, so all of these have been read.
    bool alive = false;
    self->request(*door, 10s, remote::sign_of_life{})
        .receive([&](remote::sign_of_life) { alive = true; }, [](const caf::error&) {});
    CHECK(alive);
    CHECK(v.emit() == 1);
    CHECK(v.log->count("actors.swallowed") == 1);  // once for each connection
  }

  TEST_CASE("types that are not registered cannot be spawned, by our messages or CAF's") {
    victim v;
    foreign hostile;
    auto door = hostile.system.middleman().remote_actor("127.0.0.1", v.port());
    REQUIRE(door);
    caf::scoped_actor self{hostile.system};
    spawn_result got{};
    self->request(*door, 10s, remote::spawn{"shell", {}, {}, {}, {}, false, {}})
        .receive([&](const remote::spawned& r) { got = r.result; }, [](const caf::error&) {});
    CHECK(got == spawn_result::unknown_type);
    // Nobody answers: what asks for actors by name is not handed to CAF.
    CHECK_FALSE(hostile.system.middleman().remote_spawn<caf::actor>((*door)->node(), "shell",
                                                                    caf::make_message(), 200ms));
    CHECK(v.s.session_count() == 1);
    CHECK(v.emit() == 1);
  }

  TEST_CASE("CAF's servers are there for nobody: a message for them is read and dropped") {
    victim v;
    raw_peer p{v};
    p.shake_hands();
    const auto put = p.message_named("@<>+@atom+@str+@str", {});
    for (const auto* name : {"SpawnServ", "ConfigServ"})
      p.send_direct(put,
                    static_cast<caf::actor_id>(caf::atom_from_string(
                        caf::string_view{name, std::char_traits<char>::length(name)})),
                    basp::header::named_receiver_flag);
    for (caf::actor_id id = 1; id < 40; ++id)
      if (id != p.gateway) p.send_direct(put, id);
    p.send_direct("x", p.gateway, basp::header::named_receiver_flag);
    CHECK(v.emit() == 1);
    p.send({message_type::routed_message, 0, 0, 0, 77, p.gateway}, "x");
    p.send({message_type::server_handshake, 0, 0, 4, 0, 0}, "x");
    CHECK(p.is_cut());
    CHECK(v.log->count("actors.cut") == 1);
    CHECK(v.emit() == 2);
  }

  TEST_CASE("what would make CAF allocate, throw or recurse does not reach it") {
    victim v;
    {
      raw_peer p{v};
      p.shake_hands();
      const auto huge = p.written(std::uint64_t{1} << 60U);
      p.send_direct(p.message_named("@<>+@charbuf", std::string(9, '\xFF') + huge), p.gateway);
      std::string nested;
      for (int depth = 0; depth < 2'000; ++depth)
        nested += p.written(std::uint16_t{0}, std::string{"@<>+@message"});
      p.send_direct(p.written(std::vector<caf::strong_actor_ptr>{}) + nested, p.gateway);
      p.send({message_type::down_message, 0, 0, 0, 77, 0},
             p.written(p.node, p.node, std::uint8_t{1}, caf::atom("x")) + nested.substr(0, 1'000));
      CHECK(v.emit() == 1);
    }
    raw_peer p{v};
    p.send({message_type::client_handshake, 0, 0, 0, 0, 0}, {}, 0xFFFF'FFFF);
    CHECK(p.is_cut());
    CHECK(test::eventually([&] { return v.log->count("actors.cut", "too large") == 1; }));
    CHECK(v.emit() == 2);
  }

  TEST_CASE("what is broken within one of our own messages is dropped") {
    victim v;
    raw_peer p{v};
    p.shake_hands();
    for (const auto* name : {"spawn", "emit", "end", "watch", "issue_token"}) {
      const auto type = "@<>+fairlead::remote::" + std::string{name};
      p.send_direct(p.message_named(type, {}), p.gateway);
      p.send_direct(p.message_named(type, std::string(40, '\xFF')), p.gateway);
      p.send_direct(p.message_named(type + "+@str", std::string(40, '\x01')), p.gateway);
    }
    // Enumerators that do not exist, in a message that is whole.
    remote::spawn odd{"run", "odd", {}, {}, {}, true, {}};
    odd.options.on_failure = static_cast<behavior_failure>(200);
    p.send_direct(p.written(std::vector<caf::strong_actor_ptr>{}, caf::make_message(odd)),
                  p.gateway);
    CHECK(v.emit() == 1);
    CHECK_FALSE(v.s.find_session("odd"));
  }

  TEST_CASE("garbage, or messages before a handshake: cut, and said why") {
    victim v;
    for (const std::string& garbage : {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\nxxxxxxxxxxx"),
                                       std::string(4'096, '\xFF'), std::string(64, '\0')}) {
      test::raw_client raw{v.s.actors_address()};
      raw.send(garbage);
      while (raw.receive_some()) continue;
    }
    raw_peer p{v};
    p.send_direct(p.message_named("@<>+fairlead::remote::leave", {}), p.gateway);
    CHECK(p.is_cut());
    raw_peer twice{v};
    twice.shake_hands();
    twice.shake_hands();
    CHECK(twice.is_cut());
    CHECK(v.log->count("actors.cut", "not CAF's protocol") >= 2);
    CHECK(v.log->count("actors.cut", "no handshake") >= 1);
    CHECK(v.log->count("actors.cut", "another handshake") == 1);
    CHECK(v.emit() == 1);
  }

  TEST_CASE("nobody can say that he is another node, and get its answers") {
    victim v;
    raw_peer thief{v};
    thief.shake_hands(0, v.there.system.node());
    CHECK(thief.is_cut());
    raw_peer other{v};
    other.shake_hands();
    other.shake_hands(basp::header::select_connection_flag, v.there.system.node());
    CHECK(other.is_cut());
    CHECK(v.log->count("actors.cut", "of this node") == 1);
    CHECK(v.emit() == 1);
  }

  TEST_CASE("nobody can say that another node's actors have ended, here or there") {
    victim v;
    const auto owner = v.there.system.node();
    for (const bool here : {true, false}) {
      raw_peer p{v};
      p.shake_hands();
      if (here) {
        for (caf::actor_id id = 1; id < 200; ++id) p.send_down(owner, id);
      } else {
        p.send_down(p.node, p.gateway, owner);
        p.send_down(p.self(), 1, owner);
        p.send({message_type::monitor_message, 0, 0, 0, 0, 1}, p.written(p.self(), owner));
      }
      p.send({message_type::server_handshake, 0, 0, 4, 0, 0}, "x");
      CHECK(p.is_cut());
    }
    CHECK(v.emit() == 1);
    CHECK(v.log->count("actors.swallowed", "a notice") == 2);
  }

  TEST_CASE("one actor more than may speak over one connection is not heard, the others are") {
    victim v;
    raw_peer p{v};
    p.shake_hands();
    const auto life =
        p.written(std::vector<caf::strong_actor_ptr>{}, caf::make_message(remote::sign_of_life{}));
    // Who ends makes room, whether it has been refused or not.
    for (caf::actor_id id = 1'000; id < 4'000; ++id) {
      p.send_direct(life, p.gateway, 0, id);
      p.send_down(p.self(), id);
    }
    for (caf::actor_id id = 1; id <= 512; ++id) p.send_direct(life, p.gateway, 0, id);
    CHECK(v.emit() == 1);
    CHECK(v.log->count("actors.swallowed") == 0);
    p.send_direct(life, p.gateway, 0, 513);
    CHECK(test::eventually(
        [&] { return v.log->count("actors.swallowed", "too many senders") == 1; }));
    CHECK(v.log->count("actors.cut") == 0);
    CHECK(v.emit() == 2);
  }

  TEST_CASE("a handshake, or a notice, with nothing in it: cut") {
    victim v;
    raw_peer empty{v};
    empty.send({message_type::client_handshake, 0, 0, 0, 0, 0}, {});
    CHECK(empty.is_cut());
    for (const auto what : {message_type::monitor_message, message_type::down_message}) {
      raw_peer p{v};
      p.shake_hands();
      p.send({what, 0, 0, 0, 77, p.gateway}, {});
      CHECK(p.is_cut());
    }
    CHECK(v.emit() == 1);
  }

  TEST_CASE("a crowd of connections that say nothing shuts nobody out") {
    victim v;
    std::vector<std::unique_ptr<test::raw_client>> crowd;
    while (crowd.size() < 300)
      crowd.push_back(std::make_unique<test::raw_client>(v.s.actors_address()));
    foreign there;
    const auto late = session_client::connect(there.system, {.port = v.port()});
    CHECK(late);
    while (crowd.front()->receive_some()) continue;
    CHECK(v.log->count("actors.refused", "peer=127.0.0.1 why=newer connections") >= 300 - 64);
    CHECK(v.emit() == 1);
  }

  TEST_CASE("a peer that asks and does not read is cut, others go on") {
    victim v;
    foreign there;
    raw_peer p{v};
    p.shake_hands();
    const auto one = p.written(std::vector<caf::strong_actor_ptr>{},
                               caf::make_message(remote::watch{std::string(900'000, 'x')}));
    try {
      for (int i = 0; i < 400; ++i) p.send_direct(one, p.gateway);
    } catch (const std::exception&) {  // cut while it was sending
    }
    CHECK(test::eventually([&] { return v.log->count("actors.cut", "does not read") == 1; }));
    CHECK(v.emit() == 1);
  }

  TEST_CASE("with TLS, who shows no certificate of the authority's gets nowhere") {
    const test::certified ours, others;
    victim v{&ours};
    CHECK(v.emit() == 1);
    foreign stranger{&others}, bare;
    CHECK_FALSE(
        session_client::connect(stranger.system, {.port = v.port(), .tls = true, .timeout = 5s}));
    CHECK_FALSE(session_client::connect(bare.system, {.port = v.port(), .timeout = 500ms}));
    test::raw_client raw{v.s.actors_address()};
    raw.send(std::string(600, '\xFF'));
    while (raw.receive_some()) continue;
    CHECK(v.emit() == 2);
    // The files are gone: newcomers are refused, and the server goes on.
    std::filesystem::remove(ours.certificate);
    test::raw_client late{v.s.actors_address()};
    while (late.receive_some()) continue;
    CHECK(v.log->count("actors.refused", "certificate") == 1);
    CHECK(v.emit() == 3);
  }
}

}  // namespace fairlead
