#include <chrono>
#include <string>

#include <doctest/doctest.h>

#include "service/api_request.hpp"

namespace fairlead::service {
namespace {

using namespace std::chrono_literals;

template <class Parsed>
std::string complaint(const Parsed& request) {
  REQUIRE(request.has_error());
  return request.error().where + ": " + request.error().what;
}

std::string_view data_of(const send_request& r) { return r.data.view(); }

}  // namespace

TEST_SUITE("service/api_request") {
  TEST_CASE("send: to a client or a user; a string is the text, any other value its compact JSON") {
    const auto text = parse_send(R"({"client": "c0-17", "data": "hello\n"})");
    REQUIRE(text.has_value());
    CHECK(std::get<connection_id>(text->to) == connection_id{0, 17});
    CHECK(data_of(*text) == "hello\n");
    CHECK(text->data.kind() == message_kind::text);

    const auto object = parse_send(R"({"user": "ann", "data": {"a": [1, 2.5, null, true]}})");
    REQUIRE(object.has_value());
    CHECK(std::get<std::string>(object->to) == "ann");
    CHECK(data_of(*object) == R"({"a":[1,2.5E0,null,true]})");
    CHECK(data_of(*parse_send(R"({"user": "ann", "data": null})")) == "null");
    CHECK(data_of(*parse_send(R"({"user": "ann", "data": ""})")) == "");
  }

  TEST_CASE("send: what is missing, doubled, unknown or of the wrong kind is named") {
    CHECK(complaint(parse_send(R"({"data": 1})")) ==
          "client: missing; give client (a connection id) or user (a user's name)");
    CHECK(complaint(parse_send(R"({"client": "c0-1", "user": "a", "data": 1})")) ==
          "client: given together with user; give one of the two");
    CHECK(complaint(parse_send(R"({"client": "c0-1"})")).starts_with("data: missing"));
    CHECK(complaint(parse_send(R"({"client": "17", "data": 1})"))
              .starts_with(R"(client: "17" is no connection id)"));
    CHECK(complaint(parse_send(R"({"client": 17, "data": 1})")) ==
          "client: a JSON int64; give a string");
    CHECK(complaint(parse_send(R"({"user": "", "data": 1})")).starts_with("user: empty"));
    CHECK(complaint(parse_send(R"({"": 1})")).starts_with("body: a field without a name; known"));
    CHECK(
        complaint(parse_send(R"({"user": "a", "dta": 1})")) ==
        R"(dta: there is no such field; did you mean "data"?; known are client, user, data, ttl_ms, policy, key, wait, refused_ids)");
  }

  TEST_CASE("send: options; what is not given is the ordinary") {
    const auto plain = parse_send(R"({"user": "ann", "data": 1})");
    REQUIRE(plain.has_value());
    CHECK_FALSE(plain->wait);
    CHECK_FALSE(plain->how.ttl);
    CHECK_FALSE(plain->how.policy);
    const auto full = parse_send(R"({"user": "ann", "data": 1, "ttl_ms": 1500, "key": "price",
                                     "policy": "keep_latest", "wait": true, "refused_ids": true})");
    REQUIRE(full.has_value());
    CHECK(full->wait);
    CHECK(full->how.ttl == std::chrono::milliseconds{1500});
    CHECK(full->how.policy == slow_policy::keep_latest);
    CHECK(full->how.key == "price");
    CHECK(full->how.refused_ids == most_refused_ids);
    CHECK(parse_send(R"({"user": "a", "data": 1, "key": "k"})")->how.key == "k");
    const auto all = parse_send_all(R"({"data": 1, "policy": "drop_oldest", "ttl_ms": 1})");
    REQUIRE(all.has_value());
    CHECK(all->how.policy == slow_policy::drop_oldest);
    CHECK(all->how.ttl == std::chrono::milliseconds{1});
  }

  TEST_CASE("send: an option that is wrong, or does not go with another, is named") {
    const auto wrong = [](const std::string& option) {
      return complaint(parse_send(R"({"user": "a", "data": 1, )" + option + "}"));
    };
    for (const auto* ttl : {"0", "-1", "1.5", "86400001", "\"1s\"", "1e30"})
      CHECK(wrong(std::string{"\"ttl_ms\": "} + ttl) ==
            "ttl_ms: " +
                (std::string{ttl} == "1.5"    ? "1.5E0"
                 : std::string{ttl} == "1e30" ? "1E30"
                                              : std::string{ttl}) +
                "; give a whole number of milliseconds from 1 to 86400000");
    CHECK(
        wrong(R"("policy": "drop")") ==
        R"(policy: "drop" is no policy; give disconnect, drop_newest, drop_oldest or keep_latest)");
    CHECK(wrong(R"("policy": 1)") == "policy: a JSON int64; give a string");
    CHECK(wrong(R"("policy": "keep_latest")").starts_with("key: missing; keep_latest needs one"));
    CHECK(wrong(R"("policy": "drop_oldest", "key": "k")").starts_with("key: given with policy"));
    CHECK(wrong(R"("key": "")") == "key: 0 bytes; give 1 to 256");
    CHECK(wrong(R"("key": ")" + std::string(257, 'k') + '"') == "key: 257 bytes; give 1 to 256");
    CHECK(wrong(R"("wait": "yes")") == "wait: a JSON string; give true or false");
    CHECK(wrong(R"("refused_ids": true)").starts_with("refused_ids: given without wait"));
    CHECK(
        complaint(parse_send(R"({"client": "c0-1", "data": 1, "wait": true, "refused_ids": true})"))
            .starts_with("refused_ids: given with client"));
    CHECK(complaint(parse_send_all(R"({"data": 1, "ttl_ms": 0})")).starts_with("ttl_ms: 0"));
  }

  TEST_CASE("a body that is no JSON object: what is wrong and where") {
    CHECK(complaint(parse_send("")) == "body: empty; send one JSON object");
    CHECK(complaint(parse_send("[1]")) == "body: a JSON array; send an object");
    CHECK(complaint(parse_send("{\n \"user\":\n tru }")) ==
          "body: syntax error at line 3, column 2 (byte 12); send one JSON object");
    CHECK(complaint(parse_send("{\"user\""))
              .starts_with("body: incomplete JSON at line 1, column 8"));
    CHECK(
        complaint(parse_send("{} {}")) ==
        "body: more text after the JSON value at line 1, column 4 (byte 3); send one JSON object");
    CHECK(complaint(parse_send("{\"user\": \"\xFF\"}")).starts_with("body: "));
  }

  TEST_CASE("send_all: except is a list of connection ids") {
    const auto all = parse_send_all(R"({"data": "x", "except": ["c0-1", "c3-4"]})");
    REQUIRE(all.has_value());
    CHECK(all->except == std::vector<connection_id>{{0, 1}, {3, 4}});
    CHECK(parse_send_all(R"({"data": "x"})")->except.empty());
    CHECK(complaint(parse_send_all(R"({"data": "x", "except": "c0-1"})")) ==
          "except: a JSON string; give an array of connection ids");
    CHECK(complaint(parse_send_all(R"({"data": "x", "except": ["c0-1", "c"]})"))
              .starts_with("except[1]: \"c\""));
  }

  TEST_CASE("disconnect: code and reason that a Close frame can hold; 1000 and none without them") {
    const auto full =
        parse_disconnect(R"({"client": "c0-1", "disconnect": {"code": 4001, "reason": "bye"}})");
    REQUIRE(full.has_value());
    CHECK(full->code == close_code{4001});
    CHECK(full->reason == "bye");
    const auto plain = parse_disconnect(R"({"user": "ann"})");
    REQUIRE(plain.has_value());
    CHECK(plain->code == close_code::normal);
    CHECK(plain->reason.empty());

    for (const auto* code :
         {"1005", "1006", "1010", "1015", "999", "5000", "70000", "-1", "1000.5", "\"1000\""}) {
      CAPTURE(code);
      const auto body = std::string{R"({"user": "a", "disconnect": {"code": )"} + code + "}}";
      CHECK(complaint(parse_disconnect(body)).starts_with("disconnect.code: "));
    }
    const auto reason = std::string(124, 'x');
    CHECK(complaint(
              parse_disconnect(R"({"user": "a", "disconnect": {"reason": ")" + reason + "\"}}")) ==
          "disconnect.reason: 124 bytes; a Close frame holds at most 123 (RFC 6455 5.5)");
    CHECK(complaint(parse_disconnect(R"({"user": "a", "disconnect": {"cod": 1}})"))
              .starts_with("disconnect.cod: "));
    CHECK(complaint(parse_disconnect(R"({"user": "a", "disconnect": 1000})"))
              .starts_with("disconnect: a JSON int64"));
  }

  TEST_CASE("drain: every field is optional, and so is the body; what is not said is the default") {
    const drain_options defaults{.rate = 5, .timeout = 7s};
    CHECK(parse_drain("", defaults)->rate == 5);
    CHECK(parse_drain("{}", defaults)->timeout == 7s);
    const auto all = parse_drain(
        R"({"timeout_ms": 9000, "grace_ms": 1000, "spread_ms": 0, "rate": 50, "code": 1001, "reason": "bye"})",
        defaults);
    REQUIRE(all.has_value());
    CHECK(all->timeout == 9s);
    CHECK(all->grace == 1s);
    CHECK(all->spread == 0s);
    CHECK(all->rate == 50);
    CHECK(all->code == close_code::going_away);
    CHECK(all->reason == "bye");
  }

  TEST_CASE("drain: what is wrong is named with what would be right") {
    const auto wrong = [](std::string_view body) {
      const auto parsed = parse_drain(body, {});
      REQUIRE_FALSE(parsed.has_value());
      return parsed.error().where + ": " + parsed.error().what;
    };
    CHECK(wrong(R"({"timeout_m": 1})")
              .starts_with("timeout_m: there is no such field; did you mean \"timeout_ms\"?"));
    CHECK(wrong(R"({"rate": 0})") == "rate: 0; give a whole number from 1 to 86400000");
    CHECK(wrong(R"({"grace_ms": "1s"})") ==
          "grace_ms: \"1s\"; give a whole number from 0 to 86400000");
    CHECK(wrong(R"({"code": 1006})").starts_with("code: 1006 may not be sent"));
    CHECK(
        wrong(R"({"grace_ms": 5000, "timeout_ms": 5000})").starts_with("grace_ms: 5000 ms leave"));
  }
}

}  // namespace fairlead::service
