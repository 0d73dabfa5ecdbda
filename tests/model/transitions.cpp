/// Prints what the machine does with every event in every state, as the rules that connection.pml is made of.
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include <fmt/format.h>

#include "protocol/machine.hpp"

namespace {

using namespace fairlead;
using namespace fairlead::protocol;
using namespace std::chrono_literals;

constexpr time_point now{1h};
const limits bounds;

/// As the model calls it. The last of a rule's effects is the end of the connection.
struct name_of {
  std::string operator()(const announce_open&) const { return "announce_open()"; }
  std::string operator()(const protocol::write&) const { return "write()"; }
  std::string operator()(const make_room&) const { return "make_room()"; }
  std::string operator()(const protocol::send_close&) const { return "send_close()"; }
  std::string operator()(const abort_link&) const { return "abort_link()"; }
  std::string operator()(const deliver&) const { return "deliver()"; }
  std::string operator()(const discard&) const { return "discard()"; }
  std::string operator()(const refuse& e) const {
    return fmt::format("refuse({})", to_string(e.why));
  }
  std::string operator()(const answer_close& e) const {
    return fmt::format("answer_close({})", to_string(e.result));
  }
  std::string operator()(const report_closed&) const { return "report_closed()"; }
};

template <class State>
state example() {
  if constexpr (std::is_same_v<State, open>)
    return open{1, 10};
  else if constexpr (std::is_same_v<State, closing>)
    return closing{{}, now, connection_state::open};
  else
    return State{};
}

template <class Event>
void print_rule(state in, std::string_view name, Event&& event, time_point at) {
  const auto from = kind_of(in);
  effects out;
  step(in, std::forward<Event>(event), bounds, at, out);
  std::string what;
  for (const auto& e : out) what += (what.empty() ? "" : "; ") + std::visit(name_of{}, e);
  fmt::print("RULE({}, {}, {}, {})\n", to_string(from), name, to_string(kind_of(in)),
             what.empty() ? "skip" : what);
}

struct unheard final : receipt_sink {
  using receipt_sink::receipt_sink;
  void settle(send_result) noexcept override {}
};

chunk frame(const send_options& how = {}, std::size_t size = 10) {
  return as_chunk(message::text(std::string(size, 'x')),
                  std::make_shared<unheard>(make_terms(how, now)));
}

template <class... States>
void print_rules(std::variant<States...>*) {
  const auto row = [](std::string_view name, const auto& event, time_point at = now) {
    (print_rule(example<States>(), name, std::remove_cvref_t<decltype(event)>(event), at), ...);
  };
  row("upgraded", upgraded{});
  row("admitted", admitted{});
  row("send", protocol::send{frame()});
  row("send_too_large", protocol::send{frame({}, bounds.max_send_size + 1)});
  row("send_past_limits", protocol::send{frame({}, bounds.max_queued_bytes)});
  row("send_that_expired", protocol::send{frame({.ttl = 0ms})});
  row("send_with_key", protocol::send{frame({.policy = slow_policy::keep_latest, .key = "k"})});
  row("send_again", send_again{frame()});
  row("received", received{message::text("x")});
  row("written", protocol::written{1, 10});
  row("ask_close", ask_close{close_code::normal, "bye", initiator::application});
  row("ask_invalid_close", ask_close{close_code::no_status, {}, initiator::application});
  row("peer_closed", peer_closed{close_code::normal, {}});
  row("violated", violated{close_code::protocol_error, {}});
  row("link_closed", link_closed{});
  row("link_failed", link_failed{});
  row("deadline_passed", deadline_passed{});
  row("deadline_to_come", deadline_passed{}, now - 1ms);
}

}  // namespace

int main() {
  std::puts("// Printed from the code's machine (protocol/rules.hpp) by fairlead_transitions.\n"
            "// RULE(state, event, next state, effects)");
  print_rules(static_cast<state*>(nullptr));
}
