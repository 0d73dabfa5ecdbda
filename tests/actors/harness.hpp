#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "actors/backbone.hpp"
#include "tests/support/fake_link.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/test_loop.hpp"

/// So that a failing check names what it saw.
template <class Named>
  requires requires(Named n) { fairlead::to_string(n); }
struct doctest::StringMaker<Named> {
  static String convert(const Named& n) { return std::string{fairlead::to_string(n)}.c_str(); }
};

namespace fairlead::test {

using namespace std::chrono_literals;

/// The answers to a number of requests, each of which must be answered exactly once.
template <class Answer>
class answers {
 public:
  /// The callback of one more request.
  [[nodiscard]] std::function<void(Answer)> next() {
    all_->emplace_back();
    return [all = all_, i = all_->size() - 1](Answer a) { (*all)[i].push_back(std::move(a)); };
  }
  [[nodiscard]] bool once_each() const {
    return std::ranges::all_of(*all_, [](const auto& a) { return a.size() == 1; });
  }
  /// What came, in the order of asking.
  [[nodiscard]] std::vector<Answer> list() const {
    std::vector<Answer> flat;
    for (const auto& a : *all_) flat.insert(flat.end(), a.begin(), a.end());
    return flat;
  }
  [[nodiscard]] std::size_t asked() const { return all_->size(); }
  [[nodiscard]] std::size_t count(const Answer& wanted) const {
    return static_cast<std::size_t>(std::ranges::count(list(), wanted));
  }

 private:
  std::shared_ptr<std::vector<std::vector<Answer>>> all_ =
      std::make_shared<std::vector<std::vector<Answer>>>();
};

using options_change = std::function<void(actors::backbone_options&)>;

/// A whole backbone over hand-turned loops and fake links: real actors, no socket, no thread of ours, no sleep.
class harness {
 public:
  explicit harness(std::size_t loop_count = 1, const options_change& adjust = {}) {
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
  explicit harness(const options_change& adjust) : harness(1, adjust) {}
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
  /// Lets time pass on all loops together.
  void advance(std::chrono::milliseconds by) {
    for (auto left = by; left > 0ms;) {
      const auto step = std::min<std::chrono::milliseconds>(left, protocol::timer_wheel::tick);
      for (auto& l : loops) l->advance(step);
      side->advance(step);
      run();
      left -= step;
    }
  }

  struct client {
    connection handle;
    std::shared_ptr<fake_link> link;
    [[nodiscard]] connection_id id() const { return handle.id(); }
    [[nodiscard]] std::vector<std::string> texts() const { return texts_in(link->sent); }
  };
  /// A connection in state `connecting`.
  client connecting(std::string user = {}, std::size_t loop = 0) {
    auto link = std::make_shared<fake_link>();
    auto handle = backbone->connect(loop, link, {"127.0.0.1:50000", std::move(user), "/ws?x=1"});
    run();
    clients.push_back({std::move(handle), std::move(link)});
    return clients.back();
  }
  client open(std::string user = {}, std::size_t loop = 0) {
    auto c = connecting(std::move(user), loop);
    c.link->upgrade();
    run();
    return c;
  }
  client closing() {
    auto c = open();
    c.handle.close();
    run();
    return c;
  }
  client closed_one() {
    auto c = closing();
    peers_answer();
    return c;
  }
  client failed_one() {
    auto c = open();
    c.link->fails();
    run();
    return c;
  }
  /// Every peer that was sent a Close frame answers it.
  void peers_answer() {
    for (auto& c : clients)
      if (c.link->waits_for_peer()) c.link->closing_handshake_done();
    run();
  }

  // Requests whose answers are there once everything has run.
  send_result send(const connection& to, std::string_view text) {
    return answer<send_result>([&](auto done) { to.send(message::text(text), done); });
  }
  send_result send(connection_id to, std::string_view text) {
    return answer<send_result>([&](auto done) { backbone->send(to, message::text(text), done); });
  }
  close_result close(const connection& c, close_code code = close_code::normal,
                     std::string reason = {}) {
    return answer<close_result>([&](auto done) { c.close(code, reason, done); });
  }
  close_result remove(connection_id id, close_code code = close_code::normal,
                      std::string reason = {}) {
    return answer<close_result>([&](auto done) { backbone->remove(id, code, reason, done); });
  }
  broadcast_summary broadcast(std::string_view text, std::vector<connection_id> except = {}) {
    return answer<broadcast_summary>(
        [&](auto done) { backbone->broadcast(message::text(text), except, done); });
  }
  broadcast_summary send_to_user(std::string user, std::string_view text) {
    return answer<broadcast_summary>(
        [&](auto done) { backbone->send_to_user(user, message::text(text), done); });
  }
  std::size_t close_user(std::string user, close_code code = close_code::normal) {
    return answer<std::size_t>([&](auto done) { backbone->close_user(user, code, {}, done); });
  }
  server_snapshot connections() {
    return answer<server_snapshot>([&](auto done) { backbone->take_connections(1s, done); });
  }
  actors::tree_snapshot tree() {
    return answer<actors::tree_snapshot>([&](auto done) { backbone->take_tree(1s, done); });
  }
  protocol::connection_snapshot snapshot(const client& c) {
    auto one = answer<actors::backbone::one_snapshot>(
        [&](auto done) { backbone->take_connection(c.id(), 1s, done); });
    if (!one.answered) throw std::runtime_error{"no snapshot of " + to_string(c.id())};
    return one.snapshot;
  }
  std::vector<protocol::closed_record> closed_records() {
    return answer<std::vector<protocol::closed_record>>(
        [&](auto done) { backbone->take_closed(1s, done); });
  }

  /// Stops and destroys the backbone. Peers answer their Close frames if they are polite.
  shutdown_summary stop(std::chrono::milliseconds deadline = 10s, bool polite = true) {
    answers<shutdown_summary> done;
    backbone->stop(deadline, close_code::going_away, "server shutting down", done.next());
    run();
    if (polite) peers_answer();
    if (done.list().empty()) advance(deadline + 20ms);
    run();
    if (!done.once_each()) throw std::runtime_error{"the backbone did not stop"};
    backbone.reset();
    return done.list().front();
  }

  std::vector<std::shared_ptr<test_loop>> loops;
  std::shared_ptr<test_loop> side = std::make_shared<test_loop>();
  std::shared_ptr<recording_log> log = std::make_shared<recording_log>();
  std::vector<client> clients;
  std::vector<connection> opened;
  std::vector<std::pair<connection_id, std::string>> messages;
  std::vector<std::pair<connection_id, close_info>> closed;
  std::optional<actors::backbone> backbone;

 private:
  template <class Answer, class Ask>
  Answer answer(Ask&& ask) {
    answers<Answer> got;
    ask(got.next());
    run();
    if (!got.once_each()) throw std::runtime_error{"not answered exactly once"};
    return got.list().front();
  }
};

}  // namespace fairlead::test
