#include <chrono>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/session_machine.hpp"

using namespace fairlead;
using namespace fairlead::protocol::sessions;
using namespace std::chrono_literals;
using protocol::time_point;

namespace {

constexpr time_point start{1h};

struct life {
  session_options options;
  state now = begin(options, start);
  time_point clock = start;
  effects out;

  template <class Event>
  effects& step(Event e) {
    out.clear();
    protocol::sessions::step(now, std::move(e), options, clock, out);
    return out;
  }
  [[nodiscard]] session_state kind() const { return kind_of(now); }
  template <class Effect>
  [[nodiscard]] bool only() const {
    return out.size() == 1 && std::holds_alternative<Effect>(out.front());
  }
};

}  // namespace

TEST_SUITE_BEGIN("protocol/session_machine");

TEST_CASE("a life: spawned, attached, its socket lost, back again, ended") {
  life l;
  CHECK(l.kind() == session_state::detached);
  CHECK(deadline_of(l.now) == start + l.options.attach_timeout);
  l.step(ask_attach{});
  CHECK(l.only<let_in>());
  CHECK(l.kind() == session_state::detached);  // until it is open
  l.step(socket_attached{});
  CHECK(l.only<catch_up>());
  CHECK(l.kind() == session_state::attached);
  CHECK(deadline_of(l.now) == time_point::max());
  l.clock += 5s;
  l.step(socket_detached{});
  CHECK(l.out.empty());
  CHECK(l.kind() == session_state::reconnecting);
  CHECK(deadline_of(l.now) == l.clock + l.options.resume_window);
  l.step(socket_attached{});
  CHECK(l.kind() == session_state::attached);
  l.step(ask_end{session_ender::application, "done"});
  REQUIRE(l.only<report_ended>());
  CHECK(std::get<report_ended>(l.out.front()).info ==
        session_end{session_ender::application, "done"});
  CHECK(l.kind() == session_state::ended);
}

TEST_CASE("emit: appended in every state but ended") {
  life l;
  l.step(emit{});
  CHECK(l.only<append>());
  l.step(socket_attached{});
  l.step(emit{});
  CHECK(l.only<append>());
  l.step(socket_detached{});
  l.step(emit{});
  CHECK(l.only<append>());
  l.step(ask_end{session_ender::application, ""});
  l.step(emit{});
  REQUIRE(l.only<refuse_emit>());
  CHECK(std::get<refuse_emit>(l.out.front()).why == emit_result::ended);
}

TEST_CASE("deadlines: too early counts for nothing, then never_attached or abandoned") {
  life l;
  l.clock += l.options.attach_timeout - 1ms;
  l.step(deadline_passed{});
  CHECK(l.kind() == session_state::detached);
  l.clock += 1ms;
  l.step(deadline_passed{});
  REQUIRE(l.only<report_ended>());
  CHECK(std::get<report_ended>(l.out.front()).info.by == session_ender::never_attached);

  life m;
  m.step(socket_attached{});
  m.clock += 24h;
  m.step(deadline_passed{});
  CHECK(m.kind() == session_state::attached);
  m.step(socket_detached{});
  m.clock += m.options.resume_window;
  m.step(deadline_passed{});
  REQUIRE(m.only<report_ended>());
  CHECK(std::get<report_ended>(m.out.front()).info.by == session_ender::abandoned);
}

TEST_CASE("a second socket takes over, or joins up to a limit") {
  life l;
  l.step(socket_attached{});
  l.step(ask_attach{});
  CHECK(l.only<let_in>());
  l.step(socket_attached{});
  REQUIRE(l.only<catch_up>());
  CHECK(std::get<catch_up>(l.out.front()).takes_over);
  l.step(socket_detached{});  // the older one
  CHECK(l.kind() == session_state::attached);

  life m;
  m.options.on_second_socket = second_socket::joins;
  m.options.max_sockets = 2;
  m.step(socket_attached{});
  m.step(socket_attached{});
  REQUIRE(m.only<catch_up>());
  CHECK_FALSE(std::get<catch_up>(m.out.front()).takes_over);
  m.step(ask_attach{});
  REQUIRE(m.only<turn_away>());
  CHECK(std::get<turn_away>(m.out.front()).code == close_code::session_full);
  m.step(socket_attached{});  // was let in while there was room
  CHECK(m.only<turn_away>());
  m.step(ask_attach{.replaces = true});
  CHECK(m.only<let_in>());
  m.step(socket_attached{.replaces = true});
  REQUIRE(m.only<catch_up>());
  CHECK(std::get<catch_up>(m.out.front()).replaces);
  m.step(socket_detached{});  // the one that it replaces
  m.step(socket_detached{});
  m.step(socket_attached{.replaces = true});
  REQUIRE(m.only<catch_up>());
  CHECK_FALSE(std::get<catch_up>(m.out.front()).replaces);  // there is room for both
  m.step(socket_detached{});
  CHECK(m.kind() == session_state::attached);
  m.step(socket_detached{});
  CHECK(m.kind() == session_state::reconnecting);
}

TEST_CASE("a behaviour that fails: ends, or restarts until it has failed too often in a period") {
  life l;
  l.step(socket_attached{});
  l.step(behavior_failed{});
  REQUIRE(l.only<report_ended>());
  CHECK(std::get<report_ended>(l.out.front()).info.by == session_ender::behavior);

  life m;
  m.options.on_failure = behavior_failure::restarts;
  m.options.max_restarts = 2;
  m.options.restart_period = 10s;
  for (int i = 0; i < 2; ++i) {
    m.step(behavior_failed{});
    CHECK(m.only<restart>());
  }
  m.step(socket_attached{});  // what it has failed is not forgotten in another state
  m.clock += 10s;
  for (int i = 0; i < 2; ++i) {
    m.step(behavior_failed{});
    CHECK(m.only<restart>());
  }
  m.step(socket_detached{});
  m.step(behavior_failed{});
  CHECK(m.only<report_ended>());
}

TEST_CASE("an owner that is lost: ends, or lingers") {
  life l;
  l.step(owner_lost{});
  REQUIRE(l.only<report_ended>());
  CHECK(std::get<report_ended>(l.out.front()).info.by == session_ender::owner);
  life m;
  m.options.on_owner_gone = owner_gone::lingers;
  m.step(owner_lost{});
  CHECK(m.out.empty());
  CHECK(m.kind() == session_state::detached);
}

TEST_CASE("ended is final: whoever asks is told, and nothing is reported twice") {
  life l;
  l.step(ask_end{session_ender::application, "first"});
  l.step(ask_end{session_ender::age, "second"});
  CHECK(l.out.empty());
  l.step(behavior_failed{});
  l.step(owner_lost{});
  l.step(deadline_passed{});
  l.step(socket_detached{});
  CHECK(l.out.empty());
  l.step(ask_attach{});
  REQUIRE(l.only<turn_away>());
  CHECK(std::get<turn_away>(l.out.front()).code == close_code::session_ended);
  CHECK(std::get<turn_away>(l.out.front()).reason == "first");
  l.step(socket_attached{});
  CHECK(l.only<turn_away>());
}

TEST_CASE("a reason is made fit for a Close frame [RFC 6455 5.5]") {
  const auto reason_of = [](std::string given) {
    life l;
    l.step(ask_end{session_ender::application, std::move(given)});
    return std::get<report_ended>(l.out.front()).info.reason;
  };
  CHECK(reason_of(std::string(200, 'r')) == std::string(123, 'r'));
  CHECK(reason_of("\xff") == "ended");
}

TEST_CASE("property: in random lives one end, deadlines only without sockets, the count of sockets "
          "is true") {
  for (std::uint32_t seed = 1; seed <= 2'000; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    life l;
    if (random() % 2) l.options.on_second_socket = second_socket::joins;
    if (random() % 2) l.options.on_failure = behavior_failure::restarts;
    if (random() % 2) l.options.on_owner_gone = owner_gone::lingers;
    l.options.max_sockets = 3;
    std::size_t sockets = 0, ends = 0;
    for (int step = 0; step < 60; ++step) {
      l.clock += std::chrono::seconds{random() % 20};
      l.out.clear();
      const bool was_over = l.kind() == session_state::ended;
      switch (random() % 8) {
      case 0:
        l.step(ask_attach{});
        if (l.only<let_in>()) {
          l.step(socket_attached{});
          if (l.only<catch_up>()) ++sockets;
          if (l.only<catch_up>() && std::get<catch_up>(l.out.front()).takes_over)
            for (; sockets > 1; --sockets) l.step(socket_detached{});
        }
        break;
      case 1:
        if (sockets == 0) continue;
        --sockets;
        l.step(socket_detached{});
        break;
      case 2: l.step(emit{}); break;
      case 3:
        if (random() % 8 == 0) l.step(ask_end{session_ender::application, "x"});
        break;
      case 4: l.step(behavior_failed{}); break;
      case 5: l.step(owner_lost{}); break;
      default: l.step(deadline_passed{}); break;
      }
      for (const auto& e : l.out) ends += std::holds_alternative<report_ended>(e);
      REQUIRE(ends == (l.kind() == session_state::ended));
      REQUIRE((!was_over || l.kind() == session_state::ended));
      if (l.kind() == session_state::ended) sockets = 0;
      REQUIRE((sockets > 0) == (l.kind() == session_state::attached));
      if (const auto* in = std::get_if<attached>(&l.now)) REQUIRE(in->sockets == sockets);
      REQUIRE((deadline_of(l.now) != time_point::max()) ==
              (l.kind() == session_state::detached || l.kind() == session_state::reconnecting));
    }
  }
}

TEST_SUITE_END();
