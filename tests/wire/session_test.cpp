#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/live_server.hpp"

using namespace fairlead;
using namespace fairlead::test;

namespace {

/// What one of ours has under `key`, without quotes.
std::string value_in(const std::string& json, const std::string& key) {
  const auto at = json.find('"' + key + "\":");
  if (at == std::string::npos) return {};
  auto rest = json.substr(at + key.size() + 3);
  rest = rest.substr(0, rest.find_first_of(",}"));
  return rest.starts_with('"') ? rest.substr(1, rest.size() - 2) : rest;
}

raw_client attach(live_server& server, const std::string& id, const std::string& token,
                  std::uint64_t after = 0) {
  auto client = plain_client(server->address(), 0);
  client.upgrade("/ws?session=" + id + "&token=" + token + "&after=" + std::to_string(after));
  return client;
}
std::string next(raw_client& client) {
  const auto frame = client.receive_frame();
  return frame && frame->opcode == 1 ? frame->payload : std::string{"no text"};
}

/// Keeps every text that is logged, from any thread.
class text_log final : public log {
 public:
  bool enabled(severity) const noexcept override { return true; }
  void write(severity, std::string_view, std::span<const log_field> fields) noexcept override {
    const std::lock_guard lock{mutex_};
    ++lines_;
    for (const auto& f : fields)
      if (const auto* text = std::get_if<std::string_view>(&f.value)) (all_ += *text) += '\n';
  }
  [[nodiscard]] bool mentions(const std::string& text) {
    const std::lock_guard lock{mutex_};
    REQUIRE(lines_ > 0);
    return all_.find(text) != std::string::npos;
  }

 private:
  std::mutex mutex_;
  std::string all_;
  int lines_ = 0;
};

server_options with_sessions() {
  server_options o;
  o.session_types["plain"] = {};
  o.on_upgrade = [](const upgrade_request&) -> admission { return admit{}; };
  return o;
}

}  // namespace

TEST_SUITE_BEGIN("wire/session");

TEST_CASE(
    "a client drops its socket again and again while its session emits: 1..n, no gap, no double") {
  live_server server{with_sessions()};
  auto made = server->spawn_session("plain", {.id = "run"});
  REQUIRE(made);
  constexpr std::uint64_t most = 300;
  std::string token = made.token;
  std::uint64_t seen = 0, emitted = 0;
  for (int round = 0; seen < most; ++round) {
    auto client = attach(server, "run", token, seen);
    const auto hello = next(client);
    REQUIRE(value_in(hello, "recovered") == "true");
    token = value_in(hello, "token");
    for (int i = 0; i < 20 && emitted < most; ++i, ++emitted)
      made.session.emit("tick", std::to_string(emitted + 1));
    // It reads some of them, or all, and resets.
    const auto until = round % 3 == 2 ? emitted : std::min(emitted, seen + 7);
    while (seen < until) {
      const auto event = next(client);
      REQUIRE(value_in(event, "offset") == std::to_string(seen + 1));
      REQUIRE(value_in(event, "data") == std::to_string(seen + 1));
      ++seen;
    }
    client.reset();
  }
  CHECK(server->session_count() == 1);
}

TEST_CASE("what a client sends is in the inbox; what it acknowledges is acked; the end is told") {
  live_server server{with_sessions()};
  auto made = server->spawn_session("plain", {.id = "s"});
  auto client = attach(server, "s", made.token);
  next(client);
  auto acked = made.session.emit_reported("question", R"({"q":1})", {.acked = true});
  CHECK(value_in(next(client), "type") == "question");
  client.send(text_frame(R"({"ack":1})"));
  CHECK(acked.get() == emit_report{emit_result::acked, 1});
  client.send(text_frame("an answer"));
  const auto page = server->read_inbox("s", 0, 10, std::chrono::seconds{5}).get();
  REQUIRE(page.messages.size() == 1);
  CHECK(page.messages.front().what.view() == "an answer");
  CHECK(made.session.emit_reported("x", "not json").get().result == emit_result::invalid_data);
  CHECK(made.session.emit_reported("x", "1").get() == emit_report{emit_result::written, 2});
  made.session.end("bye");
  next(client);
  const auto close = client.receive_frame();
  REQUIRE(close);
  CHECK(close->opcode == 8);
  CHECK(close->payload == "\x11\x94"
                          "bye");  // 4500
}

TEST_CASE("a token is nowhere to be seen: not in a log, a snapshot or a record of the end") {
  auto log = std::make_shared<text_log>();
  auto options = with_sessions();
  options.logger = log;
  live_server server{std::move(options)};
  auto made = server->spawn_session("plain", {.id = "s"});
  auto client = attach(server, "s", made.token);
  const auto second = value_in(next(client), "token");
  REQUIRE(second.size() == 43);
  const auto all = server->snapshot().get().connections;
  REQUIRE(all.size() == 1);
  CHECK(all.front().target == "/ws?session=s&token=***&after=0");
  client.reset();
  auto refused = attach(server, "s", second + "x");
  CHECK(refused.receive_frame()->payload.starts_with("\x11\x96"));  // 4502
  refused.reset();
  server->shutdown();
  for (const auto& secret : {made.token, second}) CHECK_FALSE(log->mentions(secret));
}

TEST_CASE("a query that cannot be used is answered with what would be right") {
  live_server server{with_sessions()};
  auto client = plain_client(server->address(), 0);
  client.send(raw_client::upgrade_request("/ws?session=s&after=x"));
  const auto reply = client.receive_reply();
  CHECK(reply.status == 400);
  CHECK(reply.body.find("after: ") != std::string::npos);
}

TEST_SUITE_END();
