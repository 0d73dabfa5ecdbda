#include <set>

#include <doctest/doctest.h>

#include "service/debug_query.hpp"

namespace fairlead::service {
namespace {

using protocol::connection_snapshot;
using protocol::connection_state;
using std::chrono::milliseconds;

const protocol::wall_time now{std::chrono::hours{1000}};

connection_snapshot make(std::uint16_t loop, std::uint64_t serial, std::uint64_t queued = 0) {
  connection_snapshot c{};
  c.id = {loop, serial};
  c.state = connection_state::open;
  c.began = now - milliseconds{serial};
  c.queued_bytes = queued;
  return c;
}

std::string ids(const connections_page& page) {
  std::string text;
  for (const auto& row : page.rows) text += (text.empty() ? "" : " ") + to_string(row.id);
  return text;
}

connections_query query(std::string_view text) {
  auto q = parse_connections_query(text);
  REQUIRE(q.has_value());
  return *q;
}

std::string complaint(std::string_view text) {
  const auto q = parse_connections_query(text);
  REQUIRE(q.has_error());
  return q.error().where + ": " + q.error().what;
}

}  // namespace

TEST_SUITE("service/debug_query") {
  TEST_CASE("no parameters: everything by id, 100 at a time") {
    const auto q = query("");
    CHECK_FALSE(q.state);
    CHECK_FALSE(q.user);
    CHECK(q.sort == sort_key::id);
    CHECK_FALSE(q.descending);
    CHECK(q.limit == 100);
    CHECK_FALSE(q.cursor);
  }

  TEST_CASE("parameters are decoded; empty ones are the default, but an empty user is the "
            "anonymous one") {
    const auto q = query("state=closing&user=ann%20b&sort=-queued_bytes&limit=1000&cursor=7:c1-2");
    CHECK(q.state == connection_state::closing);
    CHECK(q.user == "ann b");
    CHECK(q.sort == sort_key::queued_bytes);
    CHECK(q.descending);
    CHECK(q.limit == 1000);
    CHECK(q.cursor->key == 7);
    CHECK(q.cursor->after == connection_id{1, 2});
    const auto empty = query("state=&user=&sort=&limit=&cursor=");
    CHECK_FALSE(empty.state);
    CHECK(empty.user == "");
    CHECK(empty.limit == 100);
  }

  TEST_CASE("a bad parameter is named, with what was wrong and what would be right") {
    CHECK(complaint("limit=0") == R"(limit: "0" is no limit; give a whole number from 1 to 1000)");
    CHECK(complaint("limit=1001") ==
          R"(limit: "1001" is no limit; give a whole number from 1 to 1000)");
    CHECK(complaint("limit=ten") ==
          R"(limit: "ten" is no limit; give a whole number from 1 to 1000)");
    CHECK(
        complaint("state=opne") ==
        R"(state: "opne" is no state; did you mean "open"?; give one of connecting, accepted, open, closing, closed, failed)");
    CHECK(complaint("sort=bytes").starts_with(R"(sort: "bytes" cannot be sorted by)"));
    CHECK(complaint("cursor=x").starts_with(R"(cursor: "x" is no cursor of this sort order)"));
    CHECK(complaint("cursor=7:c0-1").starts_with("cursor: "));  // belongs to another sort
    CHECK(complaint("sort=age&cursor=c0-1").starts_with("cursor: "));
    CHECK(complaint("limt=1").starts_with(
        R"(limt: there is no such parameter; did you mean "limit"?)"));
    CHECK(complaint("limit=1&limit=2") == "limit: given twice; give it once");
    CHECK(complaint("=1").starts_with("query: a parameter without a name; known are state,"));
    CHECK(complaint("user=%zz").starts_with("query: "));
    CHECK(*parse_closed_query("limit=5") == 5);
    CHECK(*parse_closed_query("") == 100);
    CHECK(parse_closed_query("state=open").has_error());
  }

  TEST_CASE("what stands behind the query in memory is not of it") {
    const std::string_view all{"user=ann&limit=5&limit=6"};
    const auto q = query(all.substr(0, 6));
    CHECK(q.user == "a");
    CHECK(q.limit == 100);
  }

  TEST_CASE("filters by state and user") {
    auto closing = make(0, 2);
    closing.state = connection_state::closing;
    closing.user = "ann";
    const std::vector all{make(0, 1), closing, make(0, 3)};
    CHECK(ids(choose(all, query("state=closing"), now)) == "c0-2");
    CHECK(ids(choose(all, query("user=ann"), now)) == "c0-2");
    CHECK(ids(choose(all, query("user="), now)) == "c0-1 c0-3");
    CHECK(choose(all, query("user=bob"), now).matching == 0);
  }

  TEST_CASE("sorts by the key, then by id, in both directions") {
    const std::vector all{make(1, 1, 50), make(0, 2, 50), make(0, 1, 900)};
    CHECK(ids(choose(all, query(""), now)) == "c0-1 c0-2 c1-1");
    CHECK(ids(choose(all, query("sort=-id"), now)) == "c1-1 c0-2 c0-1");
    CHECK(ids(choose(all, query("sort=queued_bytes"), now)) == "c0-2 c1-1 c0-1");
    CHECK(ids(choose(all, query("sort=-queued_bytes"), now)) == "c0-1 c0-2 c1-1");
    CHECK(ids(choose(all, query("sort=-age"), now)) == "c0-2 c0-1 c1-1");
  }

  TEST_CASE("pages follow each other without a gap or a repetition") {
    std::vector<connection_snapshot> all;
    for (std::uint64_t i = 1; i <= 25; ++i) all.push_back(make(i % 3, i, i % 4));
    for (const std::string sort : {"id", "-id", "queued_bytes", "-queued_bytes", "age", "-age"}) {
      CAPTURE(sort);
      std::set<connection_id> seen;
      std::string cursor;
      int pages = 0;
      do {
        const auto page = choose(all, query("limit=4&sort=" + sort + "&cursor=" + cursor), now);
        CHECK(page.matching == 25);
        for (const auto& row : page.rows) CHECK(seen.insert(row.id).second);
        cursor = page.next_cursor;
      } while (!cursor.empty() && ++pages < 25);
      CHECK(seen.size() == 25);
      CHECK(pages == 6);
    }
  }

  TEST_CASE("by id a walk shows what stays once, whatever comes and goes meanwhile") {
    const auto first = choose({make(0, 1), make(0, 2), make(0, 3)}, query("limit=2"), now);
    CHECK(ids(first) == "c0-1 c0-2");
    CHECK(first.next_cursor == "c0-2");
    const auto second =
        choose({make(0, 3), make(0, 4)}, query("limit=2&cursor=" + first.next_cursor), now);
    CHECK(ids(second) == "c0-3 c0-4");
    CHECK(second.next_cursor.empty());
  }
}

}  // namespace fairlead::service
