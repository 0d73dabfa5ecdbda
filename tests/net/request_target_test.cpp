#include <doctest/doctest.h>

#include "net/request_target.hpp"

using namespace fairlead::net;

TEST_SUITE_BEGIN("net/request_target");

TEST_CASE("a target is a path and a query, in any of its forms [RFC 7230 5.3]") {
  const auto check = [](const char* target, const char* path, const char* query) {
    CAPTURE(target);
    const auto parsed = parse_request_target(target);
    REQUIRE(parsed);
    CHECK(parsed->path == path);
    CHECK(parsed->query == query);
  };
  check("/", "/", "");
  check("/a/b?c=d?e", "/a/b", "c=d?e");
  check("/a?", "/a", "");
  check("http://host:80/a?b", "/a", "b");
  check("HTTP://host", "/", "");
  check("http://host?q", "/", "q");
  check("*", "*", "");
  CHECK_FALSE(parse_request_target(""));
  CHECK_FALSE(parse_request_target("a"));
  CHECK_FALSE(parse_request_target("host:443"));
}

TEST_CASE("percent signs are resolved, or refused [RFC 3986 2.1]") {
  CHECK(percent_decoded("a%20b%2Fc%2f") == "a b/c/");
  CHECK(percent_decoded("%00") == std::string(1, '\0'));
  CHECK_FALSE(percent_decoded("%"));
  CHECK_FALSE(percent_decoded("%4"));
  CHECK_FALSE(percent_decoded("%+1"));
  CHECK_FALSE(percent_decoded("%g0"));
}

TEST_SUITE_END();
