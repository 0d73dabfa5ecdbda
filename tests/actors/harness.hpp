#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/backbone.hpp"
#include "tests/support/fake_link.hpp"
#include "tests/support/test_loop.hpp"

namespace fairlead::test {

/// Keeps log lines as `event key=value ...`.
class recording_log final : public log {
 public:
  struct line {
    severity level;
    std::string event;
    std::string text;
  };
  bool enabled(severity) const noexcept override { return true; }
  void write(severity level, std::string_view event,
             std::span<const log_field> fields) noexcept override {
    line l{level, std::string{event}, std::string{event}};
    for (const auto& f : fields) {
      l.text += ' ' + std::string{f.key} + '=';
      std::visit(
          [&](const auto& v) {
            if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string_view>)
              l.text += v;
            else
              l.text += std::to_string(v);
          },
          f.value);
    }
    lines.push_back(std::move(l));
  }
  [[nodiscard]] std::size_t count(std::string_view event) const {
    std::size_t n = 0;
    for (const auto& l : lines) n += l.event == event;
    return n;
  }
  std::vector<line> lines;
};

/// A whole backbone over hand-turned loops and fake links: real actors, no socket, no thread of ours, no sleep.
class harness {
 public:
  explicit harness(std::size_t loop_count = 1,
                   std::function<void(actors::backbone_options&)> adjust = {}) {
    for (std::size_t i = 0; i < loop_count; ++i) loops.push_back(std::make_shared<test_loop>());
    actors::backbone_options o;
    o.loops.assign(loops.begin(), loops.end());
    o.side = side;
    o.logger = log;
    o.on_open = [this](const connection& c) { opened.push_back(c); };
    o.on_message = [this](const connection& c, const message& m) {
      messages.emplace_back(c.id(), m.view());
    };
    o.on_close = [this](const connection& c, const close_info& i) {
      closed.emplace_back(c.id(), i);
    };
    if (adjust) adjust(o);
    backbone.emplace(std::move(o));
  }
  ~harness() {
    if (backbone) stop();
  }

  /// Turns all loops until none has anything to do.
  void run() {
    for (bool again = true; again;) {
      again = side->turn();
      for (auto& l : loops) again |= l->turn();
    }
  }
  void advance(std::chrono::milliseconds by) {
    for (auto& l : loops) l->advance(by);
    side->advance(by);
    run();
  }

  struct client {
    connection handle;
    std::shared_ptr<fake_link> link;
  };
  /// A connection in state `connecting`.
  client connecting(std::string user = {}, std::size_t loop = 0) {
    auto link = std::make_shared<fake_link>();
    auto handle = backbone->connect(loop, link, {"127.0.0.1:50000", std::move(user), "/ws"});
    run();
    return {std::move(handle), std::move(link)};
  }
  client open(std::string user = {}, std::size_t loop = 0) {
    auto c = connecting(std::move(user), loop);
    c.link->upgrade();
    run();
    return c;
  }

  shutdown_summary stop(std::chrono::milliseconds deadline = std::chrono::seconds{10}) {
    std::optional<shutdown_summary> result;
    backbone->stop(deadline, close_code::going_away, "server shutting down",
                   [&](shutdown_summary s) { result = s; });
    run();
    if (!result) advance(deadline + std::chrono::milliseconds{20});
    advance(std::chrono::milliseconds{20});
    for (int i = 0; !result && i < 10; ++i) run();
    backbone.reset();
    return result.value();
  }

  std::vector<std::shared_ptr<test_loop>> loops;
  std::shared_ptr<test_loop> side = std::make_shared<test_loop>();
  std::shared_ptr<recording_log> log = std::make_shared<recording_log>();
  std::vector<connection> opened;
  std::vector<std::pair<connection_id, std::string>> messages;
  std::vector<std::pair<connection_id, close_info>> closed;
  std::optional<actors::backbone> backbone;
};

}  // namespace fairlead::test
