#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "service/bearer.hpp"

using namespace fairlead;
using namespace fairlead::service;

namespace {

using fields = std::vector<std::pair<std::string_view, std::string_view>>;

upgrade_request request(std::string_view query, fields headers = {}) {
  upgrade_request r;
  r.query = query;
  r.headers = std::move(headers);
  return r;
}

std::string found(const upgrade_request& r, std::string_view parameter = "access_token") {
  const auto got = find_bearer(r, parameter);
  if (const auto* why = std::get_if<upgrade_refusal>(&got)) return std::string{to_string(*why)};
  const auto& [token, by_subprotocol] = std::get<bearer>(got);
  return token + (by_subprotocol ? " by subprotocol" : "");
}

}  // namespace

TEST_SUITE_BEGIN("service/bearer");

TEST_CASE("a token is found in each of its places") {
  CHECK(found(request("", {{"Authorization", "Bearer a.b.c"}})) == "a.b.c");
  CHECK(found(request("", {{"aUTHORIZATION", "bEARER   a.b.c"}})) == "a.b.c");
  CHECK(found(request("", {{"Sec-WebSocket-Protocol", "bearer, a.b.c"}})) ==
        "a.b.c by subprotocol");
  CHECK(found(request("", {{"sec-websocket-protocol", "chat,bearer,a.b.c,more"}})) ==
        "a.b.c by subprotocol");
  CHECK(found(request("", {{"Sec-WebSocket-Protocol", "bearer"},
                           {"Sec-WebSocket-Protocol", "a.b.c"}})) == "a.b.c by subprotocol");
  CHECK(found(request("x=1&access_token=a.b.c&y")) == "a.b.c");
  CHECK(found(request("%61ccess_token=a%2Eb.c")) == "a.b.c");
  CHECK(found(request("jwt=a.b.c"), "jwt") == "a.b.c");
}

TEST_CASE("where it is not looked for, there is none") {
  CHECK(found(request("")) == "token_missing");
  CHECK(found(request("", {{"Authorization", "Basic YTpi"}})) == "token_missing");
  CHECK(found(request("", {{"Authorization", "Bearer"}})) == "token_missing");
  CHECK(found(request("", {{"Authorization", "Bearer "}})) == "token_missing");
  CHECK(found(request("", {{"Authorization", "Bearera.b.c"}})) == "token_missing");
  CHECK(found(request("", {{"Sec-WebSocket-Protocol", "chat, bearer"}})) == "token_missing");
  CHECK(found(request("", {{"Sec-WebSocket-Protocol", "a.b.c, bearer"}})) == "token_missing");
  CHECK(found(request("token=a.b.c")) == "token_missing");
  CHECK(found(request("access_token=a.b.c"), "") == "token_missing");
  CHECK(found(request("access_token=a.b.c"), "jwt") == "token_missing");
}

TEST_CASE("more than one is ambiguous, also the same twice, also where one cannot be read") {
  const std::pair<std::string_view, std::string_view> header{"Authorization", "Bearer a.b.c"};
  CHECK(found(request("access_token=a.b.c", {header})) == "token_ambiguous");
  CHECK(found(request("", {header, header})) == "token_ambiguous");
  CHECK(found(request("", {header, {"Sec-WebSocket-Protocol", "bearer, d.e.f"}})) ==
        "token_ambiguous");
  CHECK(found(request("access_token=a&access_token=b")) == "token_ambiguous");
  CHECK(found(request("access_token=%zz", {header})) == "token_ambiguous");
  CHECK(found(request("", {{"Sec-WebSocket-Protocol", "bearer, a, bearer, b"}})) ==
        "token_ambiguous");
}

TEST_CASE("a copy without the token: nothing of it is left, all else is") {
  std::string target = "/ws?x=1&jwt=a.b.c&token=resume&access_token=d";
  const fields headers{{"Host", "test"},
                       {"Authorization", "Bearer a.b.c"},
                       {"Authorization", "Basic YTpi"},
                       {"Sec-WebSocket-Protocol", "chat, bearer, a.b.c"},
                       {"X", "y"}};
  auto original = request(std::string_view{target}.substr(4), headers);
  original.target = target;
  original.path = "/ws";
  original.peer = "127.0.0.1:1";
  const std::string parameter = "jwt";
  const request_copy clean{original, &parameter};
  const request_copy whole{original, nullptr};
  target.assign(target.size(), '!');  // it keeps its own bytes
  CHECK(clean.view().target == "/ws?x=1&jwt=***&token=***&access_token=***");
  CHECK(clean.view().query == "x=1&jwt=***&token=***&access_token=***");
  CHECK(clean.view().peer == "127.0.0.1:1");
  CHECK(clean.view().headers == fields{{"Host", "test"},
                                       {"Authorization", "Basic YTpi"},
                                       {"X", "y"},
                                       {"Sec-WebSocket-Protocol", "chat"}});
  CHECK(whole.view().target == "/ws?x=1&jwt=a.b.c&token=resume&access_token=d");
  CHECK(whole.view().query == "x=1&jwt=a.b.c&token=resume&access_token=d");
  CHECK(whole.view().headers == headers);
}

TEST_CASE("secrets are not shown, whatever a target looks like") {
  CHECK(without_secrets("/ws?access_token=s") == "/ws?access_token=***");
  CHECK(without_secrets("/ws?access%5ftoken=s&a=b") == "/ws?access%5ftoken=***&a=b");
  CHECK(without_secrets("/ws?jwt=s", "jwt") == "/ws?jwt=***");
  CHECK(without_secrets("/ws?jwt=s") == "/ws?jwt=s");
  CHECK(without_secrets("http://h/ws?access_token=s") == "http://h/ws?access_token=***");
  CHECK(without_secrets("/ws?a=token&b=t&token") == "/ws?a=token&b=t&token");
}

TEST_CASE("nor where what separates parameters is not what it should be") {
  CHECK(without_secrets("/ws??access_token=s&a=b") == "/ws??access_token=***&a=b");
  CHECK(without_secrets("/ws?a?access_token=s") == "/ws?a?access_token=***");
  CHECK(without_secrets("/ws?a=1&amp;access_token=s") == "/ws?a=1&amp;access_token=***");
  CHECK(without_secrets("/ws?a=1;access_token=s") == "/ws?a=***");
  CHECK(without_secrets("/ws?a=1%26access_token%3Ds") == "/ws?a=***");
  CHECK(without_secrets("/ws? Access_Token=s") == "/ws? Access_Token=***");
  CHECK(without_secrets("/ws?a=1;jwt=s", "jwt") == "/ws?a=***");
  CHECK(without_secrets("/ws?access_token%3Ds&a=b") == "/ws?***&a=b");
  CHECK(without_secrets("/ws?a=%zz") == "/ws?a=***");
  CHECK(without_secrets("/ws?access_token%3Ds%zz") == "/ws?***");
}

TEST_CASE("what is like a secret's name is taken for one") {
  CHECK(without_secrets("/ws?id_token=s") == "/ws?id_token=***");
}

TEST_SUITE_END();
