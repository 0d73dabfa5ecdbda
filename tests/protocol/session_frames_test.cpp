#include <chrono>
#include <string>

#include <doctest/doctest.h>

#include "protocol/session_frames.hpp"
#include "protocol/session_options.hpp"

using namespace fairlead;
using namespace fairlead::protocol;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("protocol/session_frames");

TEST_CASE("an event's frame, byte for byte") {
  const wall_time at{1'767'323'045'006ms};  // 2026-01-02 03:04:05.006
  CHECK(
      encode_event("run-7", 12, "agent/started", R"({"a":[1,2]})", at).view() ==
      R"({"session":"run-7","offset":12,"type":"agent/started","data":{"a":[1,2]},"time":"2026-01-02T03:04:05.006Z"})");
  CHECK(encode_event("s", 1, "t", "null", at).kind() == message_kind::text);
}

TEST_CASE("no event is larger than its data and the overhead that limits count with") {
  const std::string id(128, 'i'), type(64, 't');
  const auto frame = encode_event(id, UINT64_MAX, type, "1", wall_time{}).frame();
  CHECK(frame.size() <= 1 + event_overhead);
}

TEST_CASE("the first frame on a socket") {
  CHECK(
      encode_attached({"s1", true, "epoch", 7, "tok"}).view() ==
      R"({"session":"s1","attached":{"recovered":true,"epoch":"epoch","offset":7,"token":"tok"}})");
  CHECK(encode_attached({"s1", false, "e", 0, "t"}).view() ==
        R"({"session":"s1","attached":{"recovered":false,"epoch":"e","offset":0,"token":"t"}})");
}

TEST_CASE("an acknowledgement, and what is none") {
  CHECK(parse_ack(R"({"ack":7})") == 7);
  CHECK(parse_ack(" { \"ack\" :\t18446744073709551615 } \n") == UINT64_MAX);
  CHECK(parse_ack(R"({"ack":0})") == 0);
  for (const auto* text :
       {"", "{", "{\"ack\":}", "{\"ack\":-1}", "{\"ack\":1.5}", "{\"ack\":01}", "{\"ack\":1",
        "{\"ack\":1}}", "{\"ack\":1,\"x\":2}", "{\"ack\":18446744073709551616}", "{\"ack\":\"1\"}",
        "{\"acks\":1}", "[1]", "ack", "{\"ack\":1 2}"})
    CHECK_MESSAGE(!parse_ack(text), text);
}

TEST_CASE("ids and names: what needs no quoting anywhere") {
  CHECK(valid_session_id("run-7_a.B:c"));
  CHECK(valid_session_id(std::string(128, 'x')));
  for (const auto& bad :
       {std::string{}, std::string(129, 'x'), std::string{"a b"}, std::string{"a\"b"},
        std::string{"a/b"}, std::string{"\xc3\xa4"}, std::string{"a\0b", 3}})
    CHECK_FALSE(valid_session_id(bad));
  CHECK(valid_name("agent/started"));
  CHECK_FALSE(valid_name(std::string(65, 'x')));
  CHECK_FALSE(valid_name(""));
  CHECK_FALSE(valid_name("a\nb"));
}

TEST_CASE("options that cannot be used are named, with what would be right") {
  CHECK(session_options_problem({}).empty());
  session_options o;
  o.max_messages = 0;
  CHECK(session_options_problem(o) == "max_messages: 0 is out of range; give 1 to 1048576");
  o = {};
  o.resume_window = -1ms;
  CHECK(session_options_problem(o) == "resume_window: -1 ms is out of range; give 1 ms to a year");
  o.resume_window = 600'001ms;
  CHECK(session_options_problem(o) == "token_lifetime: 600000 ms is less than resume_window, "
                                      "600001 ms: who comes that late would not be let in; give "
                                      "at least that");
  o.resume_window = 1ms;
  o.attach_timeout = 700'000ms;
  CHECK(session_options_problem(o).starts_with(
      "token_lifetime: 600000 ms is less than attach_timeout"));
}

TEST_SUITE_END();
