#include <doctest/doctest.h>

#include "service/address.hpp"
#include "service/options.hpp"
#include "service/origins.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

/// The one problem with these options, as `where: what`; empty if there is none.
std::string only_problem(const server_options& options) {
  const auto found = check(options);
  REQUIRE(found.size() <= 1);
  return found.empty() ? "" : found.front().where + ": " + found.front().what;
}

bool starts(const std::string& text, std::string_view start) { return text.starts_with(start); }

}  // namespace

TEST_SUITE("service/options") {
  TEST_CASE("an address is host:port; an IPv6 host is in brackets") {
    CHECK(parse_address("127.0.0.1:0")->port == 0);
    CHECK(parse_address("[::1]:8000")->host == "::1");
    CHECK(parse_address("localhost:65535")->port == 65535);
    for (const auto* wrong :
         {"", ":", "8000", ":8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
          "::1:8000", "[127.0.0.1]:1", "[::1]", "a b:1", "http://x:1", "127.0.0.1:80x"}) {
      CAPTURE(wrong);
      CHECK_FALSE(parse_address(wrong).has_value());
    }
  }

  TEST_CASE("loopback is 127.0.0.0/8, ::1 and localhost, nothing else") {
    for (const auto* near : {"127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "localhost:1"}) {
      CAPTURE(near);
      CHECK(is_loopback(*parse_address(near)));
    }
    for (const auto* far :
         {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "localhost.example:1", "example.org:1"}) {
      CAPTURE(far);
      CHECK_FALSE(is_loopback(*parse_address(far)));
    }
  }

  TEST_CASE("the defaults are right") { CHECK(check(server_options{}).empty()); }

  TEST_CASE("each wrong option is named, with what was wrong and what would be right") {
    CHECK(
        only_problem({.listen = "nowhere"}) ==
        R"(listen: "nowhere" is no address; give host:port with a port of 0 to 65535, such as "127.0.0.1:8000" or "[::1]:8000")");
    CHECK(starts(only_problem({.internal = "x"}), R"(internal: "x" is no address)"));
    CHECK(starts(only_problem({.path = "ws"}), R"(path: "ws": a path begins with "/")"));
    CHECK(starts(only_problem({.path = "/health"}),
                 R"(path: "/health": "/health" and "/ready" are taken)"));
    CHECK(starts(only_problem({.path = "/ready"}), R"(path: "/ready": "/health" and)"));
    CHECK(starts(only_problem({.drain = {.rate = 0}}), "drain.rate: 0 would close nobody"));
    CHECK(starts(only_problem({.drain = {.grace = std::chrono::seconds{10}}}),
                 "drain.grace: 10.0 s leave no time"));
    CHECK(starts(only_problem({.drain = {.timeout = std::chrono::hours{25}}}),
                 "drain.timeout: 90000000 ms is out of range"));
    CHECK(starts(only_problem({.drain = {.code = close_code::abnormal}}),
                 "drain.code: close code 1006"));
    CHECK(starts(only_problem({.path = "/w s"}), R"(path: "/w s": a path has printable ASCII)"));
    CHECK(starts(only_problem({.tls = {.certificate = "c"}}), "tls.key: TLS needs a certificate"));
    CHECK(starts(only_problem({.tls = {.key = "k"}}), "tls.certificate: TLS needs a certificate"));
    CHECK(starts(only_problem({.tls = {.client_ca = "c"}}), "tls.client_ca: asks clients"));
    CHECK(starts(only_problem({.compression = {.level = 10}}),
                 "compression.level: 10 is out of range; give 1 (fast) to 9 (small)"));
    CHECK(starts(only_problem({.threads = 1025}), "threads: 1025 is out of range; give 1 to 1024"));
    CHECK(starts(only_problem({.actor_threads = 0}), "actor_threads: 0 is out of range"));
    CHECK(starts(only_problem({.user_linger = std::chrono::milliseconds{-1}}),
                 "user_linger: -1 ms is negative"));
  }

  TEST_CASE("what is wrong with the options of tokens is named; the key is not in it") {
    using enum jwt_algorithm;
    CHECK(
        check({.jwt = {.algorithm = hs256, .key = "k"}}).empty());  // the key itself: at the start
    CHECK(check({.jwt = {.algorithm = rs256, .key_file = "k.pem"}}).empty());
    CHECK(starts(only_problem({.jwt = {.key_file = "k.pem"}}),
                 "jwt.algorithm: tokens are accepted by one algorithm alone"));
    // Nobody is asked for a token by mistake.
    for (const auto& forgotten : {jwt_options{.algorithm = hs256}, jwt_options{.audience = "a"},
                                  jwt_options{.issuer = "i"}})
      CHECK(starts(only_problem({.jwt = forgotten}), "jwt.key_file: tokens are checked by a key"));
    CHECK(starts(only_problem({.jwt = {.algorithm = hs256, .key_file = "f", .key = "s3cret"}}),
                 "jwt.key: there is a key_file as well"));
    CHECK(starts(only_problem({.jwt = {.algorithm = hs256, .key = "s3cret", .user_claim = ""}}),
                 "jwt.user_claim: "));
    CHECK(starts(only_problem({.jwt = {.algorithm = hs256,
                                       .key = "s3cret",
                                       .leeway = std::chrono::milliseconds{600'001}}}),
                 "jwt.leeway: 600001 ms is out of range; give 0 to 600000 ms"));
    for (const auto* taken : {"token", "session", "a b", "a=b", "ä"}) {
      CAPTURE(taken);
      const auto what =
          only_problem({.jwt = {.algorithm = hs256, .key = "s3cret", .query_parameter = taken}});
      CHECK(starts(what, "jwt.query_parameter: \""));
      CHECK(what.find("s3cret") == std::string::npos);
    }
  }

  TEST_CASE("one hook decides") {
    server_options o;
    o.on_upgrade = [](const upgrade_request&) -> admission { return admit{}; };
    CHECK(check(o).empty());
    o.on_upgrade_async = [](const auto&, const admission_decision&) {};
    CHECK(starts(only_problem(o), "on_upgrade_async: there is an on_upgrade as well"));
    o.on_upgrade = nullptr;
    CHECK(check(o).empty());
  }

  TEST_CASE("an origin is one as browsers send it, or * for any") {
    for (const auto* good : {"https://example.org", "http://localhost:3000", "http://[::1]:8080",
                             "app://obsidian.md", "null", "*"}) {
      CAPTURE(good);
      CHECK(check({.origins = {good}}).empty());
    }
    for (const auto* wrong :
         {"", "example.org", "https://", "https://example.org/", "//example.org",
          "https://Example.org", "https://*.example.org", "https://a,https://b"}) {
      CAPTURE(wrong);
      CHECK(starts(only_problem({.origins = {"https://good.example", wrong}}), "origins: \""));
    }
  }

  TEST_CASE("the list of origins on the command line has commas") {
    CHECK(split_list("").empty());
    CHECK(split_list("https://a.example") == std::vector<std::string>{"https://a.example"});
    CHECK(split_list(" https://a.example, *,,") ==
          std::vector<std::string>{"https://a.example", "*"});
  }

  TEST_CASE(
      "a request's Origin has to be in the list, as it stands there; none is no reason to refuse") {
    const auto refused = [](std::vector<std::pair<std::string_view, std::string_view>> fields,
                            const std::vector<std::string>& allowed) {
      upgrade_request request;
      request.headers = std::move(fields);
      return std::string{forbidden_origin(request, allowed)};
    };
    const std::vector<std::string> some{"https://a.example", "https://b.example:8443"};
    CHECK(refused({}, some).empty());
    CHECK(refused({}, {}).empty());
    CHECK(refused({{"Origin", "https://a.example"}}, some).empty());
    CHECK(refused({{"oRIGIN", "https://b.example:8443"}}, some).empty());
    CHECK(refused({{"Origin", "https://evil.example"}}, {"*"}).empty());
    for (const auto* other : {"https://evil.example", "http://a.example", "https://a.example:443",
                              "https://a.example.evil", "https://b.example", "null", "*", ""}) {
      CAPTURE(other);
      CHECK_FALSE(refused({{"Origin", other}}, some).empty());
      CHECK_FALSE(refused({{"Origin", other}}, {}).empty());
    }
    CHECK(refused({{"Origin", "https://a.example"}, {"Origin", "https://evil.example"}}, some) ==
          "https://evil.example");
  }

  TEST_CASE("zero is never unlimited") {
    CHECK(only_problem({.limits = {.max_message_size = 0}}) ==
          "limits.max_message_size: 0 is out of range; give 1 to 4294967280");
    CHECK(starts(only_problem({.limits = {.close_timeout = std::chrono::milliseconds{0}}}),
                 "limits.close_timeout: 0 ms is out of range"));
    limits none;
    std::size_t count = 0;
    for_each_limit(none, [&](std::string_view name, auto& value, auto, auto, std::string_view) {
      value = {};
      // None at all is as strict as can be.
      if (name != "inbound_patience" && name != "expiry_grace") ++count;
    });
    CHECK(check({.limits = none}).size() == count);
  }

  TEST_CASE(
      "an internal listener beyond loopback needs a token, and a problem never shows the token") {
    CHECK(starts(only_problem({.internal = "0.0.0.0:8001"}),
                 R"(internal: "0.0.0.0:8001" can be reached from other machines)"));
    CHECK(only_problem({.internal = "0.0.0.0:8001", .internal_token = "s3cret"}).empty());
    CHECK(only_problem({.internal = "[::1]:8001"}).empty());
    const auto text = only_problem({.internal_token = "has space"});
    CHECK(starts(text, "internal_token: "));
    CHECK(text.find("has space") == std::string::npos);
  }
}

}  // namespace fairlead::service
