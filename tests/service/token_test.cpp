#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <openssl/err.h>

#include "service/token.hpp"
#include "service/token_key.hpp"
#include "tests/support/tokens.hpp"

using namespace fairlead;
using namespace std::chrono_literals;
using service::token_verifier;
using service::upgrade_refusal;
using test::keys_of;
using test::token;

namespace {

constexpr std::int64_t now_s = 2'000'000'000;  // 2033
const auto now = [] {
  return service::token_verifier::clock{
      [] { return protocol::wall_time{std::chrono::seconds{now_s}}; }}();
};

constexpr jwt_algorithm all_algorithms[] = {
    jwt_algorithm::hs256, jwt_algorithm::hs384, jwt_algorithm::hs512,
    jwt_algorithm::rs256, jwt_algorithm::rs384, jwt_algorithm::rs512,
    jwt_algorithm::es256, jwt_algorithm::es384, jwt_algorithm::es512};

jwt_options options_for(jwt_algorithm algorithm) {
  return {.algorithm = algorithm, .key = keys_of(algorithm).verifies};
}

std::string outcome(const token_verifier& by, const std::string& text) {
  const auto got = by.verify(text);
  if (const auto* why = std::get_if<upgrade_refusal>(&got)) return std::string{to_string(*why)};
  return "admitted " + std::get<admit>(got).user;
}

/// A good claim set but for what is added, which comes later and so counts.
std::string claims(const std::string& more = {}) {
  return R"({"sub":"ann","exp":2000000100)" + (more.empty() ? "" : "," + more) + "}";
}

/// What becomes of these claims, well signed, under these options.
std::string judged(const std::string& payload,
                   const std::function<void(jwt_options&)>& adjust = {}) {
  auto o = options_for(jwt_algorithm::hs256);
  if (adjust) adjust(o);
  return outcome(token_verifier{o, now}, token(jwt_algorithm::hs256, payload));
}

std::string key_problem(jwt_algorithm algorithm, const std::string& key) {
  try {
    (void)service::load_token_key({.algorithm = algorithm, .key = key});
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "good";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE_BEGIN("service/token");

TEST_CASE("each algorithm's tokens are accepted by its key, and by no other algorithm's") {
  for (const auto configured : all_algorithms) {
    const token_verifier verifier{options_for(configured), now};
    for (const auto used : all_algorithms) {
      CAPTURE(service::to_string(configured));
      CAPTURE(service::to_string(used));
      CHECK(outcome(verifier, token(used, claims())) ==
            (used == configured ? "admitted ann" : "token_algorithm"));
    }
  }
}

TEST_CASE("a signature by another key of the same kind, a changed one, a missing one") {
  for (const auto algorithm : all_algorithms) {
    CAPTURE(service::to_string(algorithm));
    const token_verifier verifier{options_for(algorithm), now};
    CHECK(outcome(verifier, token(algorithm, claims(), test::other_keys_of(algorithm))) ==
          "token_signature");
    const auto good = token(algorithm, claims());
    const auto dot = good.rfind('.');
    auto changed = good;
    changed[dot + 1] = changed[dot + 1] == 'A' ? 'B' : 'A';
    CHECK(outcome(verifier, changed) == "token_signature");
    CHECK(outcome(verifier, good.substr(0, dot + 1)) == "token_signature");
    CHECK(outcome(verifier, good.substr(0, good.size() - 8)) == "token_signature");
    // The same signature under other claims.
    const auto other = token(algorithm, claims(R"("sub":"eve")"));
    CHECK(outcome(verifier, other.substr(0, other.rfind('.')) + good.substr(dot)) ==
          "token_signature");
    CHECK(ERR_peek_error() == 0);  // nothing is left for this thread's TLS to stumble over
  }
}

TEST_CASE("the algorithm is what is configured, whatever a token says [RFC 8725 3.1]") {
  const auto& rsa = keys_of(jwt_algorithm::rs256);
  const token_verifier verifier{options_for(jwt_algorithm::rs256), now};
  // The public key is no secret: an HMAC by it proves nothing.
  const test::key_pair confused{.signs = rsa.verifies, .verifies = rsa.verifies};
  CHECK(outcome(verifier, token(jwt_algorithm::hs256, claims(), confused)) == "token_algorithm");
  for (const auto* const none : {"none", "None", "NONE", "nOnE"}) {
    CAPTURE(none);
    const auto unsigned_token = test::base64url(std::string{R"({"alg":")"} + none + R"("})") + '.' +
                                test::base64url(claims());
    CHECK(outcome(verifier, unsigned_token + '.') == "token_algorithm");
    CHECK(outcome(verifier, unsigned_token + ".AAAA") == "token_algorithm");
    CHECK(outcome(verifier, unsigned_token) == "token_malformed");
  }
  const auto with_head = [&](const std::string& head) {
    return outcome(token_verifier{options_for(jwt_algorithm::hs256), now},
                   test::token_with_head(head, jwt_algorithm::hs256, claims()));
  };
  CHECK(with_head(R"({"alg":"HS256","typ":"JWT"})") == "admitted ann");
  CHECK(with_head(R"({"alg":"HS256"})") == "admitted ann");
  CHECK(with_head(R"({"alg":"hs256"})") == "token_algorithm");
  CHECK(with_head(R"({"alg":"HS256","alg":"none"})") == "token_algorithm");
  CHECK(with_head(R"({"alg":"none","alg":"HS256"})") == "admitted ann");  // the last one counts
  CHECK(with_head(R"({"alg":"HS256","crit":["exp"]})") == "token_malformed");
  CHECK(with_head(R"({"alg":1})") == "token_malformed");
  CHECK(with_head(R"({"alg":"PS256"})") == "token_malformed");
  CHECK(with_head(R"({"typ":"JWT"})") == "token_malformed");
  CHECK(with_head(R"({"alg":"HS256","typ":"at+jwt"})") == "token_malformed");  // libjwt's doing
  CHECK(with_head("[]") == "token_malformed");
  CHECK(with_head("{") == "token_malformed");
}

TEST_CASE("what is no token") {
  const token_verifier verifier{options_for(jwt_algorithm::hs256), now};
  const auto good = token(jwt_algorithm::hs256, claims());
  std::vector<std::string> bad{"",
                               ".",
                               "..",
                               "...",
                               "a",
                               "a.b",
                               "a.b.c",
                               ".b.c",
                               "a..c",
                               good + ".",
                               good + ".x",
                               good + " ",
                               " " + good,
                               good + "=",
                               "x" + good,
                               std::string{"\0", 1} + good,
                               good + std::string{"\0", 1}};
  auto spaced = good;
  spaced.insert(good.find('.') + 3, "\n");
  bad.push_back(spaced);
  for (const auto& text : bad) {
    CAPTURE(text);
    CHECK(outcome(verifier, text) == "token_malformed");
  }
  const std::string filler(6500, 'x');
  CHECK(outcome(verifier, token(jwt_algorithm::hs256, claims(R"("x":")" + filler + '"'))) ==
        "token_malformed");  // more than 8 KiB in base64
  CHECK(judged("[]") == "token_malformed");
  CHECK(judged("null") == "token_malformed");
  CHECK(judged("") == "token_malformed");
  CHECK(judged(claims("\"x\":" + std::string(100, '[') + std::string(100, ']'))) ==
        "token_malformed");
}

TEST_CASE("exp and nbf: to the second, with the leeway, whole and broken numbers alone") {
  const auto strict = [](jwt_options& o) { o.leeway = 0ms; };
  const auto lenient = [](jwt_options& o) { o.leeway = 10s; };
  const auto expires = [](const std::string& at) { return R"({"sub":"ann","exp":)" + at + "}"; };
  CHECK(judged(expires("2000000001"), strict) == "admitted ann");
  CHECK(judged(expires("2000000000"), strict) == "token_expired");
  CHECK(judged(expires("1999999999"), strict) == "token_expired");
  CHECK(judged(expires("2000000000.5"), strict) == "admitted ann");
  CHECK(judged(expires("1999999991"), lenient) == "admitted ann");
  CHECK(judged(expires("1999999990"), lenient) == "token_expired");
  CHECK(judged(expires("0"), lenient) == "token_expired");
  CHECK(judged(expires("-1"), lenient) == "token_expired");
  CHECK(judged(expires("-1e300"), lenient) == "token_expired");
  CHECK(judged(expires("1e300"), lenient) == "admitted ann");
  CHECK(judged(expires("9223372036854775807"), lenient) == "admitted ann");
  for (const auto* wrong : {R"("2000000100")", "null", "true", "[]", "{}", R"("")"}) {
    CAPTURE(wrong);
    CHECK(judged(expires(wrong)) == "token_claims");
    CHECK(judged(claims(std::string{R"("nbf":)"} + wrong)) == "token_claims");
  }
  CHECK(judged(claims(R"("nbf":2000000000)"), strict) == "admitted ann");
  CHECK(judged(claims(R"("nbf":2000000001)"), strict) == "token_not_yet");
  CHECK(judged(claims(R"("nbf":2000000010)"), lenient) == "admitted ann");
  CHECK(judged(claims(R"("nbf":2000000011)"), lenient) == "token_not_yet");
}

TEST_CASE("a token without exp is refused, unless that is allowed") {
  CHECK(judged(R"({"sub":"ann"})") == "token_claims");
  const token_verifier verifier{{.algorithm = jwt_algorithm::hs256,
                                 .key = keys_of(jwt_algorithm::hs256).verifies,
                                 .require_expiry = false},
                                now};
  const auto in = verifier.verify(token(jwt_algorithm::hs256, R"({"sub":"ann"})"));
  REQUIRE(std::holds_alternative<admit>(in));
  CHECK_FALSE(std::get<admit>(in).expires_at);
}

TEST_CASE("aud: the configured one, alone or among others; without one, none [RFC 7519 4.1.3]") {
  const auto here = [](jwt_options& o) { o.audience = "here"; };
  CHECK(judged(claims(R"("aud":"here")"), here) == "admitted ann");
  CHECK(judged(claims(R"("aud":["there","here"])"), here) == "admitted ann");
  CHECK(judged(claims(R"("aud":"there")"), here) == "token_audience");
  CHECK(judged(claims(R"("aud":["there"])"), here) == "token_audience");
  CHECK(judged(claims(R"("aud":[])"), here) == "token_audience");
  CHECK(judged(claims(R"("aud":"Here")"), here) == "token_audience");
  CHECK(judged(claims(R"("aud":["he","re"])"), here) == "token_audience");
  CHECK(judged(claims(R"("aud":[["here"]])"), here) == "token_audience");
  CHECK(judged(claims(R"("aud":{"here":1})"), here) == "token_audience");
  CHECK(judged(claims(), here) == "token_audience");
  CHECK(judged(claims(R"("aud":"anyone")")) == "token_audience");
  CHECK(judged(claims(R"("aud":"")")) == "token_audience");
  CHECK(judged(claims(R"("aud":[])")) == "token_audience");
}

TEST_CASE("iss: the configured one") {
  const auto ours = [](jwt_options& o) { o.issuer = "https://issuer.example"; };
  CHECK(judged(claims(R"("iss":"https://issuer.example")"), ours) == "admitted ann");
  CHECK(judged(claims(R"("iss":"https://issuer.example/")"), ours) == "token_issuer");
  CHECK(judged(claims(R"("iss":["https://issuer.example"])"), ours) == "token_issuer");
  CHECK(judged(claims(), ours) == "token_issuer");
  CHECK(judged(claims(R"("iss":"anyone")")) == "admitted ann");
}

TEST_CASE("the user is a string that is not empty, of the claim that is configured") {
  for (const auto* wrong : {R"("")", "1", "null", "[\"ann\"]", "{}", "true"}) {
    CAPTURE(wrong);
    CHECK(judged(R"({"exp":2000000100,"sub":)" + std::string{wrong} + "}") == "token_claims");
  }
  CHECK(judged(R"({"exp":2000000100})") == "token_claims");
  CHECK(judged(R"({"exp":2000000100,"name":"bob"})",
               [](jwt_options& o) { o.user_claim = "name"; }) == "admitted bob");
  CHECK(judged(claims(R"("sub":"a\u0000b")")) == "token_malformed");
}

TEST_CASE("what is not verified is not judged: a bad signature hides what else is wrong") {
  const token_verifier verifier{options_for(jwt_algorithm::es256), now};
  CHECK(outcome(verifier, token(jwt_algorithm::es256, R"({"exp":1,"aud":"x"})",
                                test::other_keys_of(jwt_algorithm::es256))) == "token_signature");
}

TEST_CASE("chosen claims are metadata; the end is when it would be refused here") {
  auto o = options_for(jwt_algorithm::hs256);
  o.metadata_claims = {"role", "level", "tags", "absent"};
  o.leeway = 5s;
  const auto in = token_verifier{o, now}.verify(token(
      jwt_algorithm::hs256, claims(R"("role":"admin","level":3,"tags":["a","b"],"other":1)")));
  REQUIRE(std::holds_alternative<admit>(in));
  const auto& who = std::get<admit>(in);
  CHECK(who.metadata ==
        connection_metadata{{"role", "admin"}, {"level", "3"}, {"tags", R"(["a","b"])"}});
  CHECK(who.expires_at == protocol::wall_time{std::chrono::seconds{now_s + 105}});
}

TEST_CASE("a key is fit for its algorithm, or is refused without being shown") {
  using enum jwt_algorithm;
  CHECK(key_problem(hs256, std::string(32, 'k')) == "good");
  CHECK(key_problem(hs256, std::string(31, 'k')) ==
        "jwt.key: a secret of 31 bytes; HS256 takes at least 32 (RFC 7518 3.2), such as those of: "
        "openssl rand -hex 32");
  CHECK(key_problem(hs256, std::string(31, 'k') + "\n") != "good");  // the line end is not meant
  CHECK(key_problem(hs384, std::string(48, 'k')) == "good");
  CHECK(key_problem(hs384, std::string(47, 'k')) != "good");
  CHECK(key_problem(hs512, std::string(64, 'k') + "\r\n") == "good");
  CHECK(key_problem(hs512, std::string(63, 'k')) != "good");
  CHECK(contains(key_problem(hs256, keys_of(rs256).verifies), "a PEM key"));
  for (const auto algorithm : {rs256, rs384, rs512, es256, es384, es512}) {
    CAPTURE(service::to_string(algorithm));
    CHECK(key_problem(algorithm, keys_of(algorithm).verifies) == "good");
    CHECK(contains(key_problem(algorithm, keys_of(algorithm).signs), "a private key"));
    CHECK(contains(key_problem(algorithm, std::string(64, 'k')), "no public key in PEM"));
    CHECK(contains(key_problem(algorithm, ""), "no public key in PEM"));
  }
  CHECK(contains(key_problem(rs256, keys_of(es256).verifies), "no RSA key"));
  CHECK(contains(key_problem(es256, keys_of(rs256).verifies), "no EC key"));
  CHECK(contains(key_problem(es256, keys_of(es384).verifies),
                 "curve secp384r1; ES256 takes one on prime256v1"));
  CHECK(contains(key_problem(es512, keys_of(es256).verifies), "curve prime256v1"));
  CHECK(contains(key_problem(rs256, test::small_rsa_key()), "an RSA key of 1024 bits"));
  CHECK(ERR_peek_error() == 0);
}

TEST_CASE("a key's file: one that cannot be read is named; a reload takes the new one, or keeps "
          "the old") {
  const test::temporary_folder folder;
  const auto file = folder.file("key.pem");
  const auto write = [&](const std::string& bytes) { std::ofstream{file} << bytes; };
  const jwt_options o{.algorithm = jwt_algorithm::es256, .key_file = file};
  CHECK_THROWS_WITH((token_verifier{o, now}),
                    doctest::Contains("key.pem\": cannot be read: No such file"));
  write(keys_of(jwt_algorithm::es256).verifies);
  token_verifier verifier{o, now};
  const auto old_token = token(jwt_algorithm::es256, claims());
  const auto new_token =
      token(jwt_algorithm::es256, claims(), test::other_keys_of(jwt_algorithm::es256));
  CHECK(outcome(verifier, old_token) == "admitted ann");
  write("nonsense");
  CHECK_THROWS_WITH(verifier.reload(), doctest::Contains("no public key in PEM"));
  CHECK(outcome(verifier, old_token) == "admitted ann");
  write(test::other_keys_of(jwt_algorithm::es256).verifies);
  verifier.reload();
  CHECK(outcome(verifier, old_token) == "token_signature");
  CHECK(outcome(verifier, new_token) == "admitted ann");
}

TEST_SUITE_END();
