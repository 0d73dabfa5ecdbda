#include <doctest/doctest.h>

#include "service/request_guard.hpp"

namespace fairlead::service {
namespace {

unsigned status(std::vector<std::pair<std::string, std::string>> headers,
                std::string_view token = {}) {
  net::http_request request{};
  request.headers = std::move(headers);
  const auto refusal = refuse_request(request, token);
  return refusal ? refusal->status : 200;
}

}  // namespace

TEST_SUITE("service/request_guard") {
  TEST_CASE("without a token, a local tool passes and a web page does not") {
    CHECK(status({{"Host", "127.0.0.1:8001"}}) == 200);
    CHECK(status({{"Host", "localhost:8001"}}) == 200);
    CHECK(status({{"Host", "[::1]:8001"}}) == 200);
    CHECK(status({}) == 200);  // HTTP/1.0
    CHECK(status({{"Host", "127.0.0.1:8001"}, {"Origin", "https://example.org"}}) == 403);
    CHECK(status({{"Host", "rebound.example.org:8001"}}) == 403);
    CHECK(status({{"Host", "127.0.0.1.example.org"}}) == 403);
  }

  TEST_CASE("with a token, who has it passes under any name; others get 401") {
    CHECK(status({{"Host", "fairlead.internal"}, {"Authorization", "Bearer s3cret"}}, "s3cret") ==
          200);
    CHECK(status({{"authorization", "bearer   s3cret"}}, "s3cret") == 200);
    for (const auto* wrong : {"", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3crets",
                              "Basic s3cret", "Bearer S3cret", "Bearer s3crets3cret"}) {
      CAPTURE(wrong);
      CHECK(status({{"Authorization", wrong}}, "s3cret") == 401);
    }
    net::http_request request{};
    const auto refusal = refuse_request(request, "s3cret");
    REQUIRE(refusal);
    CHECK(refusal->headers.back() ==
          std::pair<std::string, std::string>{"WWW-Authenticate", "Bearer realm=\"fairlead\""});
    CHECK(refusal->body.find("s3cret") == std::string::npos);
  }

  TEST_CASE("secrets compare equal only if they are") {
    CHECK(same_secret("abc", "abc"));
    CHECK_FALSE(same_secret("abcabc", "abc"));
    CHECK_FALSE(same_secret("", "abc"));
    CHECK_FALSE(same_secret("abd", "abc"));
  }
}

}  // namespace fairlead::service
