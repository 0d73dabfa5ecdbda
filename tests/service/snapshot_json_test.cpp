#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <doctest/doctest.h>

#include "service/explanation.hpp"
#include "service/snapshot_json.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using protocol::connection_snapshot;
using protocol::connection_state;

const protocol::wall_time new_year{1'767'225'600'000ms};

connection_snapshot slow_reader() {
  connection_snapshot c{};
  c.id = {0, 17};
  c.state = connection_state::open;
  c.began = new_year - 10s;
  c.in_state = 9s;
  c.peer = "127.0.0.1:5000";
  c.user = "ann";
  c.metadata = {{"role", "admin"}, {"\xFF", "x"}};
  c.expires_at = new_year + 60s;
  c.target = "/ws?x=\xFF";
  c.tls = "TLSv1.3";
  c.compresses = true;
  c.mailbox = 2;
  c.queued_messages = 40;
  c.queued_bytes = 4096;
  c.wire_bytes = 2048;
  c.max_queued_messages = 64;
  c.max_queued_bytes = 8192;
  c.slow_consumers = slow_policy::drop_newest;
  c.unhandled_messages = 3;
  c.counts.messages_in = 3;
  c.counts.bytes_in = 30;
  c.counts.bytes_written = 500;
  c.counts.outcomes[static_cast<std::size_t>(send_result::written)] = 5;
  c.counts.outcomes[static_cast<std::size_t>(send_result::overflow)] = 6;
  c.events = {{0ms, "accepted", 0}, {1500ms, "overflow", 6}};
  return c;
}

std::vector<std::string> keys(const json::object& object) {
  std::vector<std::string> names;
  for (const auto& field : object) names.emplace_back(field.key());
  return names;
}

}  // namespace

TEST_SUITE("service/snapshot_json") {
  TEST_CASE("a connection: what and why first, then who, then how much") {
    const auto object = connection_json(slow_reader(), new_year);
    CHECK(keys(object) == std::vector<std::string>{"id",
                                                   "state",
                                                   "state_since",
                                                   "in_state_ms",
                                                   "why",
                                                   "user",
                                                   "metadata",
                                                   "expires_at",
                                                   "peer",
                                                   "target",
                                                   "tls",
                                                   "compresses",
                                                   "began",
                                                   "age_ms",
                                                   "mailbox",
                                                   "queued_messages",
                                                   "queued_bytes",
                                                   "wire_bytes",
                                                   "max_queued_messages",
                                                   "max_queued_bytes",
                                                   "slow_consumers",
                                                   "unhandled_messages",
                                                   "paused_for",
                                                   "silent_ms",
                                                   "awaits_pong",
                                                   "throttled",
                                                   "round_trip_us",
                                                   "last_close",
                                                   "traffic",
                                                   "events"});
    CHECK(object.at("id") == "c0-17");
    CHECK(object.at("state") == "open");
    CHECK(object.at("state_since") == "2025-12-31T23:59:51.000Z");
    CHECK(object.at("in_state_ms") == 9000);
    CHECK(object.at("age_ms") == 10'000);
    CHECK(object.at("why") ==
          "open for 9.0 s: 40 messages (4.0 KB) queued, 2.0 KB of it waiting for the kernel: the "
          "client reads more slowly than it is sent to; past 64 or 8.0 KB new ones are refused");
    CHECK(object.at("max_queued_messages") == 64U);
    CHECK(object.at("max_queued_bytes") == 8192U);
    CHECK(object.at("slow_consumers") == "drop_newest");
    CHECK(object.at("unhandled_messages") == 3U);
    CHECK(object.at("paused_for").is_null());
    CHECK(object.at("target") == "/ws?x=\xEF\xBF\xBD");
    CHECK(object.at("metadata") == json::value{{"role", "admin"}, {"\xEF\xBF\xBD", "x"}});
    CHECK(object.at("expires_at") == "2026-01-01T00:01:00.000Z");
    CHECK(object.at("tls") == "TLSv1.3");
    CHECK(object.at("compresses") == true);
    CHECK(object.at("last_close").is_null());
    CHECK(object.at("traffic").at("sends_by_outcome").at("overflow") == 6U);
    CHECK(object.at("events").as_array().size() == 2);
    CHECK(object.at("events").at(1) ==
          json::parse(R"({"at": "2025-12-31T23:59:51.500Z", "at_ms": 1500,
                                                      "event": "overflow", "detail": 6,
                                                      "about": "a queue limit was met; 6 refused so far"})"));
    CHECK_NOTHROW(json::parse(json::serialize(object)));
  }

  TEST_CASE("how it stands with the peer: silent, pinged, throttled") {
    auto c = slow_reader();
    CHECK(connection_json(c, new_year).at("round_trip_us").is_null());
    c.silent = std::chrono::seconds{27};
    c.awaits_pong = true;
    c.round_trip = std::chrono::microseconds{1234};
    const auto pinged = connection_json(c, new_year);
    CHECK(pinged.at("silent_ms") == 27'000);
    CHECK(pinged.at("awaits_pong") == true);
    CHECK(pinged.at("round_trip_us") == 1234);
    CHECK(std::string_view{pinged.at("why").as_string()}.ends_with(
        "; silent for 27.0 s, and has not answered a ping yet"));
    c.throttled = true;
    const auto throttled = connection_json(c, new_year);
    CHECK(throttled.at("throttled") == true);
    CHECK(std::string_view{throttled.at("why").as_string()}.ends_with(
        "; it is not read for now, because it sent more than it may"));
    CHECK(throttled.at("paused_for") == "rate");
    c.lagging = true;
    const auto lagging = connection_json(c, new_year);
    CHECK(lagging.at("paused_for") == "unhandled");
    CHECK(std::string_view{lagging.at("why").as_string()}.ends_with(
        "; it is not read for now, because 3 messages of its wait for a behavior or its session"));
  }

  TEST_CASE("a connection that closes says who asked, with what, and what it waits for") {
    auto c = slow_reader();
    c.state = connection_state::closing;
    c.in_state = 3200ms;
    c.wire_bytes = 0;
    c.last_close = protocol::close_attempt{close_code{4001}, "signed out", initiator::application,
                                           close_result::initiated, 6800ms};
    const auto object = connection_json(c, new_year);
    CHECK(object.at("why") ==
          "closing for 3.2 s: the application asked with 4001 (private application code) \"signed "
          "out\"; waiting for the peer's Close; aborted when the close time-out passes");
    CHECK(
        object.at("last_close") ==
        json::parse(R"({"code": 4001, "meaning": "private application code", "reason": "signed out",
                          "initiator": "application", "result": "initiated", "at": "2025-12-31T23:59:56.800Z",
                          "at_ms": 6800})"));
  }

  TEST_CASE("a row of the table has no events and no outcomes, but their sums") {
    const auto row = row_json(slow_reader(), new_year);
    CHECK_FALSE(row.contains("events"));
    CHECK(row.at("messages_in") == 3U);
    CHECK(row.at("messages_out") == 5U);
    CHECK(row.at("sends_refused") == 6U);
  }

  TEST_CASE("an anonymous user is null") {
    auto c = slow_reader();
    c.user.clear();
    CHECK(row_json(c, new_year).at("user").is_null());
    c.expires_at.reset();
    CHECK(row_json(c, new_year).at("expires_at").is_null());
  }

  TEST_CASE("the table lists who did not answer") {
    server_snapshot all;
    all.unanswered = {{1, 2}};
    all.unanswered_loops = {1};
    const auto object =
        page_json({.matching = 1, .rows = {slow_reader()}, .next_cursor = "c0-17"}, all, new_year);
    CHECK(object.at("matching") == 1U);
    CHECK(object.at("returned") == 1U);
    CHECK(object.at("next_cursor") == "c0-17");
    CHECK(object.at("unanswered") == json::parse(R"(["c1-2"])"));
    CHECK(object.at("unanswered_loops") == json::parse("[1]"));
    CHECK(object.at("connections").as_array().size() == 1);
    CHECK(page_json({}, {}, new_year).at("next_cursor").is_null());
  }

  TEST_CASE("a closed connection says why it ended and how") {
    protocol::closed_record r{};
    r.id = {1, 3};
    r.began = new_year - 2s;
    r.ended = new_year;
    r.final_state = connection_state::failed;
    r.reached = connection_state::open;
    r.info = {close_code::abnormal, "connection reset by peer", initiator::transport, false};
    const auto object = closed_json(r);
    CHECK(object.at("id") == "c1-3");
    CHECK(object.at("state") == "failed");
    CHECK(object.at("ended") == "2026-01-01T00:00:00.000Z");
    CHECK(object.at("lasted_ms") == 2000);
    CHECK(object.at("code") == 1006U);
    CHECK(object.at("meaning") == "no Close frame");
    CHECK(object.at("clean") == false);
    CHECK(object.at("reached") == "open");
    CHECK(object.at("why") ==
          "the transport ended it after 2.0 s with 1006 (no Close frame) \"connection reset by "
          "peer\"; the closing handshake was not completed");
  }

  TEST_CASE("the tree: supervisor, rosters below it, and who did not answer") {
    actors::tree_snapshot tree;
    tree.supervisor = {.name = "supervisor", .actor = 6, .mailbox = 1, .connections = 3};
    tree.rosters.push_back({.name = "roster-0", .actor = 4, .connections = 3, .loop_lag = 70us});
    tree.rosters.back().by_state[static_cast<std::size_t>(connection_state::open)] = 3;
    tree.rosters.push_back({.name = "roster-1", .actor = 5, .answered = false});
    const auto object = tree_json(tree, new_year);
    CHECK(object.at("unanswered") == json::parse(R"(["roster-1"])"));
    const auto& rosters = object.at("supervisor").at("rosters");
    CHECK(rosters.at(0).at("by_state").at("open") == 3U);
    CHECK(rosters.at(0).at("loop_lag_us") == 70);
    CHECK(rosters.at(1).at("answered") == false);
    CHECK_FALSE(rosters.at(1).as_object().contains("mailbox"));
  }

  TEST_CASE("outcomes: every one with its count, and the sum") {
    broadcast_summary s;
    s.add(send_result::written, 3);
    s.add(send_result::closing);
    const auto object = outcomes_json(s);
    CHECK(object.size() == send_result_count + 1);
    CHECK(object.at("written") == 3U);
    CHECK(object.at("closing") == 1U);
    CHECK(object.at("overflow") == 0U);
    CHECK(object.at("addressed") == 4U);
    CHECK(outcome_json("written") == json::parse(R"({"outcome": "written"})"));
  }

  TEST_CASE("every close code has a meaning") {
    CHECK(meaning(close_code::normal) == "normal");
    CHECK(meaning(close_code::session_ended) == "session ended");
    CHECK(meaning(close_code::session_full) == "session full");
    CHECK(meaning(close_code{4505}) == "private application code");
    CHECK(meaning(close_code{1015}) == "TLS handshake failed");
    CHECK(meaning(close_code{3999}) == "registered application code");
    CHECK(meaning(close_code{1004}) == "unassigned");
  }
}

}  // namespace fairlead::service
