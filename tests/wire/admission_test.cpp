#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/http_client.hpp"
#include "tests/support/tokens.hpp"
#include "tests/wire/live_server.hpp"

using namespace fairlead;
using namespace fairlead::test;
using namespace std::chrono_literals;

namespace {

constexpr auto algorithm = jwt_algorithm::es256;

/// Keeps every text that is logged, from any thread.
class text_log final : public log {
 public:
  bool enabled(severity) const noexcept override { return true; }
  void write(severity, std::string_view event,
             std::span<const log_field> fields) noexcept override {
    const std::lock_guard lock{mutex_};
    (all_ += event) += '\n';
    for (const auto& f : fields)
      if (const auto* text = std::get_if<std::string_view>(&f.value))
        ((all_ += f.key) += '=') += std::string{*text} + '\n';
  }
  [[nodiscard]] bool mentions(std::string_view text) {
    const std::lock_guard lock{mutex_};
    return all_.find(text) != std::string::npos;
  }

 private:
  std::mutex mutex_;
  std::string all_;
};

std::int64_t seconds_from_now(std::chrono::milliseconds by) {
  return std::chrono::duration_cast<std::chrono::seconds>(
             (std::chrono::system_clock::now() + by).time_since_epoch())
      .count();
}

std::string claims(std::string_view user = "ann", std::chrono::milliseconds left = 1h,
                   const std::string& more = {}) {
  return R"({"sub":")" + std::string{user} + R"(","exp":)" +
         std::to_string(seconds_from_now(left)) + more + "}";
}
std::string good_token(std::string_view user = "ann") { return token(algorithm, claims(user)); }
std::string header(const std::string& bearer) { return "Authorization: Bearer " + bearer + "\r\n"; }

server_options with_tokens(const std::function<void(server_options&)>& adjust = {}) {
  server_options o;
  o.internal = "127.0.0.1:0";
  o.jwt = {.algorithm = algorithm, .key = keys_of(algorithm).verifies};
  o.on_upgrade = [](const upgrade_request&) -> admission { return admit{}; };
  if (adjust) adjust(o);
  return o;
}

http_reply knock(const std::string& address, std::string_view target, const std::string& fields) {
  raw_client client{address};
  client.send(raw_client::upgrade_request(target, fields));
  return client.receive_reply();
}

/// One counter of the metrics page.
std::string metric(live_server& server, const std::string& series) {
  const auto page = request(server->internal_address(), "GET", "/metrics").body;
  const auto at = page.find("\n" + series + " ");
  if (at == std::string::npos) return "none";
  const auto from = at + series.size() + 2;
  return page.substr(from, page.find('\n', from) - from);
}
std::string refused(live_server& server, const std::string& reason) {
  return metric(server, "fairlead_upgrades_refused_total{reason=\"" + reason + "\"}");
}
std::string limit_hits(live_server& server, const std::string& limit) {
  return metric(server, "fairlead_limit_hits_total{limit=\"" + limit + "\"}");
}

/// A hook that keeps its questions for the test.
struct held_questions {
  struct question {
    std::shared_ptr<const upgrade_request> request;
    std::optional<admission_decision> decide;
  };
  std::shared_ptr<mailbox<question>> asked = std::make_shared<mailbox<question>>();
  [[nodiscard]] async_upgrade_hook hook() const {
    return [to = asked](std::shared_ptr<const upgrade_request> r, admission_decision d) {
      to->put({std::move(r), std::move(d)});
    };
  }
};

server_options with_questions(const held_questions& held, limits bounds = {}) {
  server_options o;
  o.internal = "127.0.0.1:0";
  o.limits = bounds;
  o.on_upgrade_async = held.hook();
  return o;
}

}  // namespace

TEST_SUITE_BEGIN("wire/admission");

// --- the hook -------------------------------------------------------------------------------------------------------

TEST_CASE("a hook decides later, from any thread: user and metadata are the connection's") {
  const held_questions held;
  live_server server{with_questions(held)};
  raw_client client{server->address()};
  client.send(raw_client::upgrade_request("/ws?a=b", "X-Badge: 7\r\n"));
  const auto question = held.asked->take();
  const auto& asked = question.request;
  CHECK(asked->path == "/ws");
  CHECK(asked->query == "a=b");
  CHECK(asked->header("x-badge") == "7");
  CHECK(asked->token == nullptr);
  std::thread{[&] {
    (*question.decide)(admit{.user = "ann", .metadata = {{"badge", "7"}}});
  }}.join();
  CHECK(client.receive_reply().status == 101);
  const auto opened = server.opened();
  CHECK(opened.user() == "ann");
  CHECK(opened.metadata() == connection_metadata{{"badge", "7"}});
  CHECK(server.snapshot_of(opened).metadata == opened.metadata());
  const auto shown = request(server->internal_address(), "GET", "/debug/connections").body;
  CHECK(shown.find(R"("metadata":{"badge":"7"},"expires_at":null)") != std::string::npos);
  CHECK(echoes(client));
  CHECK(asked->query == "a=b");  // the hook may keep it
}

TEST_CASE("a hook refuses later; forgets; decides twice: one answer each, counted") {
  const held_questions held;
  live_server server{with_questions(held)};
  const auto answer = [&](const std::function<void(const admission_decision&)>& act) {
    raw_client client{server->address()};
    client.send(raw_client::upgrade_request());
    auto asked = held.asked->take();
    act(*asked.decide);
    asked.decide.reset();
    return client.receive_reply().status;
  };
  CHECK(answer([](const auto& d) { d(refuse{.status = 402, .reason = "pay"}); }) == 402);
  CHECK(answer([](const auto&) {}) == 500);
  CHECK(answer([](const auto& d) {
          d(refuse{});
          d(admit{});
        }) == 403);
  CHECK(answer([](const auto& d) {
          d(admit{});
          d(refuse{});
        }) == 101);
  CHECK(answer([](const auto& d) {
          std::vector<std::thread> all;
          for (int i = 0; i < 4; ++i) all.emplace_back([d] { d(refuse{.status = 409}); });
          for (auto& one : all) one.join();
        }) == 409);
  CHECK(refused(server, "hook") == "3");
  CHECK(refused(server, "hook_failed") == "1");
}

TEST_CASE("a hook that throws is a 500, whether it had decided before or not") {
  const auto logged = std::make_shared<text_log>();
  server_options o;
  o.internal = "127.0.0.1:0";
  o.logger = logged;
  o.on_upgrade_async = [](const auto& r, const admission_decision& decide) {
    if (r->query == "decided") decide(admit{});
    throw std::runtime_error{"oh"};
  };
  live_server server{std::move(o)};
  CHECK(knock(server->address(), "/ws?token=s3cret", "").status == 500);
  CHECK(knock(server->address(), "/ws?decided", "").status == 101);
  CHECK(refused(server, "hook_failed") == "1");
  CHECK(logged->mentions("upgrade.hook_threw\n"));
  CHECK_FALSE(logged->mentions("s3cret"));
}

TEST_CASE("nobody decides in time: 503, counted, and room comes back") {
  const held_questions held;
  live_server server{
      with_questions(held, {.admission_timeout = 100ms, .max_pending_admissions = 1})};
  std::vector<held_questions::question> asked;
  for (int i = 0; i < 2; ++i) {
    raw_client client{server->address()};
    client.send(raw_client::upgrade_request());
    asked.push_back(held.asked->take());  // not if the one before still took the only place
    const auto late = client.receive_reply();
    CHECK(late.status == 503);
    CHECK(late.has("Retry-After: 1\r\n"));
    CHECK(late.body.find("in time") != std::string::npos);
  }
  for (auto& one : asked) (*one.decide)(admit{});  // too late
  CHECK(refused(server, "timeout") == "2");
  CHECK(limit_hits(server, "admission_timeout") == "2");
  CHECK(server->connection_count() == 0);
}

TEST_CASE("too many wait for a decision: 503, counted, and a decision makes room") {
  const held_questions held;
  live_server server{
      with_questions(held, {.admission_timeout = 1min, .max_pending_admissions = 2})};
  raw_client first{server->address()}, second{server->address()};
  first.send(raw_client::upgrade_request());
  const auto one = held.asked->take();
  second.send(raw_client::upgrade_request());
  const auto two = held.asked->take();
  const auto third = knock(server->address(), "/ws", "");
  CHECK(third.status == 503);
  CHECK(third.has("Retry-After: 1\r\n"));
  CHECK(refused(server, "too_many_pending") == "1");
  CHECK(limit_hits(server, "pending_admissions") == "1");
  (*one.decide)(refuse{});
  CHECK(first.receive_reply().status == 403);
  raw_client again{server->address()};
  again.send(raw_client::upgrade_request());
  (*held.asked->take().decide)(admit{});
  CHECK(again.receive_reply().status == 101);
}

TEST_CASE("a client that leaves makes room, though the hook still thinks") {
  const held_questions held;
  live_server server{with_questions(held, {.max_pending_admissions = 1})};
  raw_client gone{server->address()};
  gone.send(raw_client::upgrade_request());
  const auto kept = held.asked->take();
  gone.reset();
  REQUIRE(eventually([&] { return refused(server, "client_left") == "1"; }));
  raw_client client{server->address()};
  client.send(raw_client::upgrade_request());
  (*held.asked->take().decide)(admit{.user = "ann"});
  CHECK(client.receive_reply().status == 101);
  (*kept.decide)(admit{.user = "bob"});
  CHECK(echoes(client));
  CHECK(server->connection_count() == 1);
}

TEST_CASE("who waits when the server drains or stops gets 503; a decision after the server's end "
          "is harmless") {
  const held_questions held;
  std::optional<admission_decision> kept;
  {
    live_server server{with_questions(held)};
    raw_client client{server->address()};
    client.send(raw_client::upgrade_request());
    kept = held.asked->take().decide;
    SUBCASE("drain") {
      server->drain({.spread = 0ms}).get();
      CHECK(client.receive_reply().status == 503);
      (*kept)(admit{});
    }
    SUBCASE("shutdown") {
      server->shutdown();
      CHECK(client.receive_reply().status == 503);
    }
  }
  (*kept)(admit{});
}

TEST_CASE("metadata has a bound: past it the hook is wrong, and nobody comes in") {
  const auto logged = std::make_shared<text_log>();
  server_options o;
  o.internal = "127.0.0.1:0";
  o.logger = logged;
  o.on_upgrade = [](const upgrade_request& r) -> admission {
    const auto size = r.query == "most" ? max_metadata_size - 1 : max_metadata_size;
    return admit{.user = "ann", .metadata = {{"x", std::string(size, 'y')}}};
  };
  live_server server{std::move(o)};
  CHECK(knock(server->address(), "/ws?most", "").status == 101);
  CHECK(knock(server->address(), "/ws", "").status == 500);
  CHECK(refused(server, "hook_failed") == "1");
  CHECK(logged->mentions("upgrade.too_much_metadata\n"));
}

TEST_CASE(
    "a user's limit holds for decisions that come later, too, and a refused one holds no seat") {
  const held_questions held;
  live_server server{with_questions(held, {.max_connections_per_user = 1})};
  std::vector<raw_client> clients;
  std::vector<held_questions::question> questions;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(server->address());
    clients.back().send(raw_client::upgrade_request());
    questions.push_back(held.asked->take());
  }
  std::vector<unsigned> statuses;
  for (std::size_t i = 0; i < 3; ++i) {
    (*questions[i].decide)(admit{.user = "ann"});
    statuses.push_back(clients[i].receive_reply().status);
  }
  std::ranges::sort(statuses);
  CHECK(statuses == std::vector<unsigned>{101, 503, 503});
  CHECK(refused(server, "user_connections") == "2");
}

TEST_CASE("every refusal has a reason in the metrics") {
  server_options o;
  o.internal = "127.0.0.1:0";
  o.session_types["plain"] = {};
  o.on_upgrade = [](const upgrade_request&) -> admission { return refuse{}; };
  live_server server{std::move(o)};
  CHECK(knock(server->address(), "/elsewhere", "").status == 404);
  CHECK(knock(server->address(), "/ws", "Origin: https://evil.example\r\n").status == 403);
  CHECK(knock(server->address(), "/ws?session=a%20b", "").status == 400);
  CHECK(knock(server->address(), "/ws", "").status == 403);
  CHECK(knock(server->address(), "/ws", "Upgrade: more\r\nSec-WebSocket-Version: 13\r\n").status ==
        426);
  for (const auto* reason : {"path", "origin", "attach", "hook"}) {
    CAPTURE(reason);
    CHECK(refused(server, reason) == "1");
  }
  CHECK(limit_hits(server, "bad_upgrade") == "1");
}

// --- tokens ---------------------------------------------------------------------------------------------------------

TEST_CASE("a token comes in by header, subprotocol or query, and its subject is the user") {
  live_server server{with_tokens()};
  const auto bearer = good_token();
  const auto enter = [&](std::string_view target, const std::string& fields) {
    raw_client client{server->address()};
    client.send(raw_client::upgrade_request(target, fields));
    const auto reply = client.receive_reply();
    CHECK(reply.status == 101);
    const auto opened = server.opened();
    CHECK(opened.user() == "ann");
    CHECK(opened.expires_at().has_value());
    CHECK(echoes(client));
    return reply.head;
  };
  CHECK(enter("/ws", header(bearer)).find("Sec-WebSocket-Protocol") == std::string::npos);
  CHECK(enter("/ws?access_token=" + bearer, "").find("Sec-WebSocket-Protocol") ==
        std::string::npos);
  const auto head = enter("/ws", "Sec-WebSocket-Protocol: chat, bearer, " + bearer + "\r\n");
  CHECK(head.find("Sec-WebSocket-Protocol: bearer\r\n") != std::string::npos);
  CHECK(head.find(bearer) == std::string::npos);
}

TEST_CASE("without a good token: 401 and what to show [RFC 6750 3]; with two: 400") {
  live_server server{with_tokens()};
  const auto bearer = good_token();
  const auto none = knock(server->address(), "/ws", "");
  CHECK(none.status == 401);
  CHECK(none.has("WWW-Authenticate: Bearer realm=\"fairlead\"\r\n"));
  const auto expired =
      knock(server->address(), "/ws", header(token(algorithm, claims("ann", -1h))));
  CHECK(expired.status == 401);
  CHECK(expired.has("WWW-Authenticate: Bearer realm=\"fairlead\", error=\"invalid_token\", "
                    "error_description=\"the token has expired\"\r\n"));
  const auto forged =
      knock(server->address(), "/ws", header(token(algorithm, claims(), other_keys_of(algorithm))));
  CHECK(forged.status == 401);
  CHECK(forged.has("the token's signature is not good"));
  CHECK(knock(server->address(), "/ws", header("nonsense")).status == 401);
  const auto other = token(jwt_algorithm::hs256, claims(),
                           {keys_of(algorithm).verifies, keys_of(algorithm).verifies});
  CHECK(knock(server->address(), "/ws", header(other)).status == 401);
  const auto twice = knock(server->address(), "/ws?access_token=" + bearer, header(bearer));
  CHECK(twice.status == 400);
  CHECK(twice.has("error=\"invalid_request\""));
  for (const auto* reason : {"token_missing", "token_expired", "token_signature", "token_malformed",
                             "token_algorithm", "token_ambiguous"}) {
    CAPTURE(reason);
    CHECK(refused(server, reason) == "1");
  }
  CHECK(limit_hits(server, "unauthorized") == "6");
  CHECK(server->connection_count() == 0);
}

TEST_CASE("the token is shown nowhere: not in logs, debug, snapshots, answers, nor to the hook") {
  const auto logged = std::make_shared<text_log>();
  std::mutex mutex;
  std::string seen;
  live_server server{with_tokens([&](server_options& o) {
    o.logger = logged;
    o.on_upgrade = [&](const upgrade_request& r) -> admission {
      const std::lock_guard lock{mutex};
      (seen += r.target) += r.query;
      for (const auto& [name, value] : r.headers) (seen += name) += value;
      (*logged)(severity::info, "hook.saw", {{"target", r.target}});
      if (r.query.starts_with("throw")) throw std::runtime_error{"oh"};
      if (r.query.starts_with("no")) return refuse{};
      return admit{};
    };
  })};
  const auto bearer = good_token();
  const auto signature = bearer.substr(bearer.rfind('.') + 1);
  std::string answers;
  const auto tried = [&](const std::string& target, const std::string& fields = {}) {
    const auto reply = knock(server->address(), target, fields);
    answers += reply.head + reply.body;
    return reply.status;
  };
  raw_client stays{server->address()};
  CHECK(stays.upgrade("/ws?x=1&access_token=" + bearer).status == 101);
  const auto opened = server.opened();
  CHECK(server.snapshot_of(opened).target == "/ws?x=1&access_token=***");
  CHECK(tried("/ws?no&access%5Ftoken=" + bearer) == 403);
  CHECK(tried("/ws?throw&access_token=" + bearer) == 500);
  CHECK(tried("/ws?no", header(bearer)) == 403);
  CHECK(tried("/ws?no", "Sec-WebSocket-Protocol: bearer, " + bearer + "\r\n") == 403);
  CHECK(tried("/ws?access_token=" + bearer + "x") == 401);
  CHECK(tried("/ws?access_token=" + bearer, header(bearer)) == 400);
  CHECK(tried("/elsewhere?access_token=" + bearer) == 404);
  CHECK(tried("/ws?access_token=" + bearer, "Origin: https://evil.example\r\n") == 403);
  raw_client page{server->address()};
  page.send("GET /ws?access_token=" + bearer + " HTTP/1.1\r\nHost: test\r\n\r\n");
  const auto plain = page.receive_reply();
  CHECK(plain.status == 426);
  answers += plain.head + plain.body;
  const auto id = to_string(opened.id());
  for (const auto* path : {"/debug/connections", "/debug/closed", "/debug/tree", "/metrics"})
    answers += request(server->internal_address(), "GET", path).body;
  answers += request(server->internal_address(), "GET", "/debug/connections/" + id).body;
  CHECK(answers.find("access_token=***") != std::string::npos);  // it was there to be seen
  CHECK(logged->mentions("hook.saw"));
  CHECK(logged->mentions("upgrade.refused"));
  const std::lock_guard lock{mutex};
  CHECK(seen.find("x=1") != std::string::npos);
  for (const auto& secret : {bearer, signature}) {
    CHECK_FALSE(logged->mentions(secret));
    CHECK(answers.find(secret) == std::string::npos);
    CHECK(seen.find(secret) == std::string::npos);
  }
}

TEST_CASE(
    "the hook sees what a good token says, and may add to it or refuse; others it never sees") {
  std::atomic<int> asked{0};
  live_server server{with_tokens([&](server_options& o) {
    o.jwt.metadata_claims = {"role", "team"};
    o.on_upgrade = [&](const upgrade_request& r) -> admission {
      ++asked;
      if (!r.token) return refuse{.status = 500, .reason = "no token"};
      if (r.token->user == "eve") return refuse{.reason = "not you"};
      return admit{.metadata = {{"team", "blue"}, {"floor", "3"}},
                   .expires_at = r.query == "soon"
                                     ? std::optional{std::chrono::system_clock::now() + 10min}
                                     : std::nullopt};
    };
  })};
  const auto told = token(algorithm, claims("ann", 1h, R"(,"role":"admin","team":"red")"));
  raw_client client{server->address()};
  CHECK(client.upgrade("/ws", header(told)).status == 101);
  const auto opened = server.opened();
  CHECK(opened.user() == "ann");
  CHECK(opened.metadata() ==
        connection_metadata{{"role", "admin"}, {"team", "blue"}, {"floor", "3"}});
  CHECK(*opened.expires_at() > std::chrono::system_clock::now() + 50min);
  raw_client brief{server->address()};
  CHECK(brief.upgrade("/ws?soon", header(told)).status == 101);
  CHECK(*server.opened().expires_at() < std::chrono::system_clock::now() + 11min);
  CHECK(knock(server->address(), "/ws", header(good_token("eve"))).status == 403);
  CHECK(asked == 3);
  CHECK(knock(server->address(), "/ws", "").status == 401);
  CHECK(asked == 3);
}

TEST_CASE("tokens and a hook that takes its time") {
  const held_questions held;
  live_server server{with_tokens([&](server_options& o) {
    o.on_upgrade = nullptr;
    o.on_upgrade_async = held.hook();
  })};
  const auto bearer = good_token();
  raw_client client{server->address()};
  client.send(
      raw_client::upgrade_request("/ws", "Sec-WebSocket-Protocol: bearer, " + bearer + "\r\n"));
  auto [asked, decide] = held.asked->take();
  REQUIRE(asked->token);
  CHECK(asked->token->user == "ann");
  CHECK(asked->header("Sec-WebSocket-Protocol").empty());
  (*decide)(admit{.metadata = {{"a", "b"}}});
  const auto reply = client.receive_reply();
  CHECK(reply.status == 101);
  CHECK(reply.has("Sec-WebSocket-Protocol: bearer\r\n"));
  const auto opened = server.opened();
  CHECK(opened.user() == "ann");
  CHECK(opened.metadata() == connection_metadata{{"a", "b"}});
}

TEST_CASE("when the token has expired, and the grace is over, the connection is closed with 3000") {
  live_server server{with_tokens([](server_options& o) {
    o.jwt.leeway = 0ms;
    o.limits.expiry_grace = 300ms;
  })};
  raw_client client{server->address()};
  const auto expires =
      std::chrono::system_clock::time_point{std::chrono::seconds{seconds_from_now(2s)}};
  CHECK(client.upgrade("/ws", header(token(algorithm, claims("ann", 2s)))).status == 101);
  const auto opened = server.opened();
  CHECK(opened.expires_at().value() - expires < 2s);
  const auto close = client.receive_frame();
  const auto closed_at = std::chrono::system_clock::now();
  REQUIRE(close);
  CHECK(close->close_code() == 3000);
  CHECK(close->close_reason() == "expired");
  CHECK(closed_at >= *opened.expires_at() + 300ms);
  client.send(close_frame(3000));
  CHECK(server.end_of(opened) ==
        close_info{close_code::unauthorized, "expired", initiator::limit, true});
  CHECK(limit_hits(server, "admission_expired") == "1");
  CHECK(
      metric(
          server,
          R"(fairlead_connections_closed_total{initiator="limit",code="3000",severity="info"})") ==
      "1");
}

TEST_CASE("a user's limit holds for users by token") {
  live_server server{with_tokens([](server_options& o) { o.limits.max_connections_per_user = 1; })};
  raw_client first{server->address()};
  CHECK(first.upgrade("/ws", header(good_token("ann"))).status == 101);
  CHECK(knock(server->address(), "/ws", header(good_token("ann"))).status == 503);
  CHECK(knock(server->address(), "/ws", header(good_token("bob"))).status == 101);
}

TEST_CASE("a session and a token: each has its own parameter") {
  auto o = with_tokens();
  o.session_types["plain"] = {};
  live_server server{std::move(o)};
  const auto made = server->spawn_session("plain", {.id = "run", .user = "ann"});
  REQUIRE(made);
  const auto target = [&](std::string_view user) {
    return "/ws?session=run&token=" + made.token + "&access_token=" + good_token(user);
  };
  raw_client other{server->address()};
  other.upgrade(target("eve"));
  const auto refused_frame = other.receive_frame();
  REQUIRE(refused_frame);
  CHECK(refused_frame->close_code() == 4502);
  raw_client client{server->address()};
  client.upgrade(target("ann"));
  const auto hello = client.receive_frame();
  REQUIRE(hello);
  CHECK(hello->payload.find("\"recovered\":true") != std::string::npos);
  CHECK(knock(server->address(), "/ws?session=run&token=" + made.token, "").status == 401);
}

TEST_CASE("a server whose key is no good does not start") {
  server_options o;
  o.listen = "127.0.0.1:0";
  o.jwt = {.algorithm = jwt_algorithm::hs256, .key = "short"};
  server s;
  CHECK_THROWS_AS(s.start(std::move(o)), std::runtime_error);
}

TEST_SUITE_END();
