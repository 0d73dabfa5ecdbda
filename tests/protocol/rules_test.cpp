#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/rules.hpp"
#include "tests/protocol/recording_receipt.hpp"

namespace fairlead::protocol::test {
namespace {

using namespace std::chrono_literals;

constexpr time_point now{1h};
const limits bounds;

struct nap {};        // an event nobody thought of
struct half_open {};  // a state nobody thought of

std::string name_of(const effect& e) {
  const std::array names{"announce_open", "write",   "make_room", "send_close",   "abort_link",
                         "deliver",       "discard", "refuse",    "answer_close", "report_closed"};
  static_assert(names.size() == std::variant_size_v<effect>);
  return names[e.index()];
}

/// What `event` does to `s`: the next state if it is another one, then the effects in order.
template <class Event>
std::string does(state s, Event event) {
  const auto before = kind_of(s);
  effects out;
  step(s, std::move(event), bounds, now + 1h, out);
  std::string text;
  if (kind_of(s) != before) text += std::string(" -> ") + std::string(to_string(kind_of(s)));
  for (const auto& e : out) text += " " + name_of(e);
  return text.empty() ? "-" : text.substr(1);
}

struct row {
  const char* name;
  std::function<std::string(const state&)> outcome;
  std::array<const char*, std::variant_size_v<state>> expected;
};

template <class Event>
row rule(const char* name, Event event,
         std::array<const char*, std::variant_size_v<state>> expected) {
  return {name, [event](const state& s) { return does(s, event); }, expected};
}

}  // namespace

TEST_SUITE_BEGIN("protocol/rules");

TEST_CASE("the table: every event in every state") {
  const std::vector<state> states{connecting{},    accepted{},
                                  open{10, 1'000}, closing{{}, now, connection_state::open},
                                  closed{},        failed{}};
  constexpr auto closes = "-> closing send_close answer_close";
  constexpr auto fails = "-> failed report_closed";
  // clang-format off
  const std::vector<row> table{
      //                                  connecting     accepted                  open        closing                              closed    failed
      rule("upgraded", upgraded{},      {"-> accepted", "-",                      "-",        "-",                                 "-",      "-"}),
      rule("admitted", admitted{},      {"-",           "-> open announce_open",  "-",        "-",                                 "-",      "-"}),
      rule("send", send{text_chunk("")},{"refuse",      "refuse",                 "write",    "refuse",                            "refuse", "refuse"}),
      rule("send_again", send_again{text_chunk("")},
                                        {"refuse",      "refuse",                 "write",    "refuse",                            "refuse", "refuse"}),
      rule("received", received{},      {"discard",     "discard",                "deliver",  "discard",                           "discard", "discard"}),
      rule("written", written{1, 10},   {"-",           "-",                      "-",        "-",                                 "-",      "-"}),
      rule("ask_close", ask_close{close_code::normal, "", initiator::application},
                                        {closes,        closes,                   closes,     "answer_close",                      "answer_close", "answer_close"}),
      rule("peer_closed", peer_closed{},{"-> closing",  "-> closing",             "-> closing", "-",                               "-",      "-"}),
      rule("violated", violated{},      {"-> closing",  "-> closing",             "-> closing", "-",                               "-",      "-"}),
      rule("link_closed", link_closed{},{fails,         fails,                    fails,      "-> closed report_closed",           "-",      "-"}),
      rule("link_failed", link_failed{},{fails,         fails,                    fails,      "-> closed report_closed",           "-",      "-"}),
      rule("deadline_passed", deadline_passed{},
                                        {"-",           "-",                      "-",        "-> closed abort_link report_closed", "-",     "-"}),
  };
  // clang-format on
  for (const auto& tested : table) {
    for (std::size_t i = 0; i < states.size(); ++i) {
      CAPTURE(tested.name);
      CAPTURE(to_string(kind_of(states[i])));
      CHECK(tested.outcome(states[i]) == tested.expected[i]);
    }
  }
}

TEST_CASE("totality: a pair without a rule is found, and none is missing") {
  static_assert(rules::has_rule<open, send>);
  static_assert(!rules::has_rule<open, nap>);
  static_assert(!rules::has_rule<half_open, send>);
  CHECK(rules::total(static_cast<state*>(nullptr), rules::every_event{}));
}

TEST_SUITE_END();

}  // namespace fairlead::protocol::test
