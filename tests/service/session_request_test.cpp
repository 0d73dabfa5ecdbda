#include <doctest/doctest.h>

#include "service/session_request.hpp"

namespace fairlead::service {
namespace {

const types_defaults types{{"run", {.max_messages = 7}}, {"chat", {}}};

/// The field that a body is refused for; empty if it is not.
template <class Parsed>
std::string wrong_field(const Parsed& result) {
  return result ? std::string{} : result.error().where;
}
std::string spawn_problem(std::string_view body) { return wrong_field(parse_spawn(body, types)); }
std::string emit_problem(std::string_view body) { return wrong_field(parse_emit(body)); }

}  // namespace

TEST_SUITE("service/session_request") {
  TEST_CASE("spawn: the whole of it, over its type's defaults") {
    const auto all =
        parse_spawn(R"({"type": "run", "id": "r1", "user": "ann", "arguments": {"a": 1},
      "metadata": {"team": "x"}, "key": "k",
      "options": {"resume_window_ms": 5000, "max_sockets": 2, "on_second_socket": "joins",
                  "on_failure": "restarts", "on_owner_gone": "lingers"}})",
                    types);
    REQUIRE(all.has_value());
    CHECK(all->type == "run");
    CHECK(all->how.id == "r1");
    CHECK(all->how.user == "ann");
    CHECK(all->how.arguments == R"({"a":1})");
    CHECK(all->how.metadata.front().second == "x");
    CHECK(all->key == "k");
    REQUIRE(all->how.options);
    CHECK(all->how.options->max_messages == 7);
    CHECK(all->how.options->resume_window == std::chrono::seconds{5});
    CHECK(all->how.options->on_second_socket == second_socket::joins);
    CHECK(all->how.options->on_failure == behavior_failure::restarts);
    CHECK(all->how.options->on_owner_gone == owner_gone::lingers);

    const auto least = parse_spawn(R"({"type": "chat", "arguments": "plain text"})", types);
    REQUIRE(least.has_value());
    CHECK(least->how.arguments == "plain text");
    CHECK_FALSE(least->how.options);
    CHECK(least->key.empty());
  }

  TEST_CASE("spawn: what is wrong is told by the field's name") {
    CHECK(spawn_problem("") == "body");
    CHECK(spawn_problem("[]") == "body");
    CHECK(spawn_problem("{}") == "type");
    CHECK(spawn_problem(R"({"type": 1})") == "type");
    CHECK(parse_spawn(R"({"type": "rum"})", types).error().what.find("did you mean \"run\"?") !=
          std::string::npos);
    CHECK(spawn_problem(R"({"type": "run", "ID": "x"})") == "ID");
    CHECK(spawn_problem(R"({"type": "run", "key": ""})") == "key");
    CHECK(spawn_problem(R"({"type": "run", "metadata": []})") == "metadata");
    CHECK(spawn_problem(R"({"type": "run", "metadata": {"a": 1}})") == "metadata.a");
    CHECK(spawn_problem(R"({"type": "run", "options": 1})") == "options");
    CHECK(spawn_problem(R"({"type": "run", "options": {"max_ages": 1}})") == "options.max_ages");
    CHECK(spawn_problem(R"({"type": "run", "options": {"max_age_ms": "1"}})") ==
          "options.max_age_ms");
    CHECK(spawn_problem(R"({"type": "run", "options": {"max_age_ms": 0}})") == "options");
    CHECK(spawn_problem(R"({"type": "run", "options": {"max_restarts": 4294967297}})") ==
          "options");
    CHECK(spawn_problem(R"({"type": "run", "options": {"on_second_socket": "fights"}})") ==
          "options.on_second_socket");
  }

  TEST_CASE("emit: data is any JSON value, a string too; acked is to wait") {
    const auto plain = parse_emit(R"({"session": "s", "type": "t", "data": {"a": [1, 2]}})");
    REQUIRE(plain.has_value());
    CHECK(plain->data == R"({"a":[1,2]})");
    CHECK_FALSE(plain->wait);
    const auto text = parse_emit(R"({"session": "s", "type": "t", "data": "x", "wait": true})");
    REQUIRE(text.has_value());
    CHECK(text->data == R"("x")");
    CHECK(text->wait);
    const auto acked = parse_emit(
        R"({"session": "s", "type": "t", "data": null, "acked": true, "ack_timeout_ms": 9, "key": "k"})");
    REQUIRE(acked.has_value());
    CHECK(acked->wait);
    CHECK(acked->how.acked);
    CHECK(acked->how.ack_timeout.count() == 9);
    CHECK(acked->how.key == "k");

    CHECK(emit_problem(R"({"type": "t", "data": 1})") == "session");
    CHECK(emit_problem(R"({"session": "s", "data": 1})") == "type");
    CHECK(emit_problem(R"({"session": "s", "type": "t"})") == "data");
    CHECK(emit_problem(R"({"session": "s", "type": "t", "data": 1, "wait": 1})") == "wait");
    CHECK(emit_problem(R"({"session": "s", "type": "t", "data": 1, "ack_timeout_ms": 9})") ==
          "ack_timeout_ms");
    CHECK(emit_problem(
              R"({"session": "s", "type": "t", "data": 1, "acked": true, "ack_timeout_ms": 0})") ==
          "ack_timeout_ms");
  }

  TEST_CASE("end and issue_token name a session; a reason fits into a Close frame") {
    CHECK(parse_end(R"({"session": "s"})")->reason == "ended");
    CHECK(parse_end(R"({"session": "s", "reason": "done"})")->reason == "done");
    CHECK(wrong_field(parse_end(R"({"session": ""})")) == "session");
    CHECK(wrong_field(parse_end(R"({"session": "s", "reason": ")" + std::string(124, 'x') +
                                "\"}")) == "reason");
    CHECK(*parse_session(R"({"session": "s"})") == "s");
    CHECK(wrong_field(parse_session(R"({"client": "s"})")) == "client");
  }

  TEST_CASE("queries: defaults, all of them, and what is out of range") {
    CHECK(parse_sessions_query("")->limit == 100);
    const auto q = parse_sessions_query("state=reconnecting&type=run&user=&limit=3&cursor=s-1");
    REQUIRE(q.has_value());
    CHECK(q->state == session_state::reconnecting);
    CHECK(q->type == "run");
    CHECK(q->user == std::string{});
    CHECK(q->limit == 3);
    CHECK(q->cursor == "s-1");
    CHECK(wrong_field(parse_sessions_query("state=open")) == "state");
    CHECK(wrong_field(parse_sessions_query("limit=0")) == "limit");
    CHECK(wrong_field(parse_sessions_query("sort=id")) == "sort");

    const auto inbox = parse_inbox_query("after=18446744073&limit=2&wait_ms=60000");
    REQUIRE(inbox.has_value());
    CHECK(inbox->after == 18446744073U);
    CHECK(inbox->wait == longest_inbox_wait);
    CHECK(wrong_field(parse_inbox_query("wait_ms=60001")) == "wait_ms");
    CHECK(wrong_field(parse_inbox_query("after=-1")) == "after");
    CHECK(wrong_field(parse_inbox_query("after=1&after=2")) == "after");
  }
}

}  // namespace fairlead::service
