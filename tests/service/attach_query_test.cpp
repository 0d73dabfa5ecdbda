#include <doctest/doctest.h>

#include "service/attach_query.hpp"
#include "service/bearer.hpp"
#include "service/json_check.hpp"

using namespace fairlead::service;

TEST_SUITE_BEGIN("service/attach_query");

TEST_CASE("which session, with which token, from where") {
  const auto q = parse_attach_query("session=run-7&token=a%2Db&after=12&epoch=e&theirs=1");
  REQUIRE(q.has_value());
  REQUIRE(*q);
  CHECK((*q)->session == "run-7");
  CHECK((*q)->token == "a-b");
  CHECK((*q)->after == 12);
  CHECK((*q)->epoch == "e");
  CHECK((*parse_attach_query("session=s"))->after == 0);
  CHECK((*parse_attach_query("session=s&after="))->after == 0);
}

TEST_CASE("no session: the query is the application's") {
  for (const auto* query : {"", "token=x", "sessions=1", "a=session", "%%%"}) {
    const auto q = parse_attach_query(query);
    REQUIRE(q.has_value());
    CHECK(*q == nullptr);
  }
}

TEST_CASE("what cannot be used is named") {
  const auto where = [](const char* query) { return parse_attach_query(query).error().where; };
  CHECK(where("session=a b") == "session");
  CHECK(where("session=a&token=%zz") == "token");
  CHECK(where("session=") == "session");
  CHECK(where("session=a%20b") == "session");
  CHECK(where("session=a&session=b") == "session");
  CHECK(where("session=a&token=1&token=2") == "token");
  for (const auto* after : {"-1", "1.5", "x", "18446744073709551616"})
    CHECK(where((std::string{"session=a&after="} + after).c_str()) == "after");
}

TEST_CASE("what is wrong is not quoted: it may be a token, after a separator that is none") {
  for (const auto* query : {"session=a;token=SECRET", "session=a%2526token%253DSECRET",
                            "session=a&after=1;token=SECRET", "session=a?token=SECRET"}) {
    const auto q = parse_attach_query(query);
    REQUIRE_FALSE(q.has_value());
    CHECK(q.error().what.find("SECRET") == std::string::npos);
  }
}

TEST_CASE("a token is not shown, however its name is written") {
  CHECK(without_secrets("/ws") == "/ws");
  CHECK(without_secrets("/ws?a=1&b") == "/ws?a=1&b");
  CHECK(without_secrets("/ws?token=secret") == "/ws?token=***");
  CHECK(without_secrets("/ws?a=1&token=secret&b=2&token=again") ==
        "/ws?a=1&token=***&b=2&token=***");
  CHECK(without_secrets("/ws?%74oken=secret") == "/ws?%74oken=***");
  CHECK(without_secrets("/ws?token=a=b") == "/ws?token=***");
  CHECK(without_secrets("/ws?tokens=1&my_token=2") == "/ws?tokens=1&my_token=***");
  // Encoded twice and more often.
  CHECK(without_secrets("/ws?session=a%2526token%253DSECRET") == "/ws?session=***");
  CHECK(without_secrets("/ws?session=a%25252526token%2525253DSECRET") == "/ws?session=***");
  CHECK(without_secrets("/ws?a%253Btoken%253DSECRET=1") == "/ws?***");
  CHECK(without_secrets("/ws?share=100%25&x=%2541") == "/ws?share=100%25&x=%2541");
  std::string deep = "1";
  for (int i = 0; i < 3000; ++i) deep = "25" + deep;
  CHECK(without_secrets("/ws?a=%" + deep).size() == std::string_view{"/ws?a=***"}.size());
}

TEST_CASE("JSON, and what is none") {
  for (const auto* good : {"1", " null ", "\"x\"", "{\"a\":[1,2,{}]}", "-1.5e3", "true\n", "[]"})
    CHECK_MESSAGE(is_json(good), good);
  for (const auto* bad :
       {"", " ", "{", "{}{}", "1 2", "{\"a\":}", "nul", "'x'", "[1,]", "\"\xff\"", "{a:1}"})
    CHECK_MESSAGE(!is_json(bad), bad);
  CHECK_FALSE(is_json(std::string(10'000, '[') + std::string(10'000, ']')));
}

TEST_SUITE_END();
