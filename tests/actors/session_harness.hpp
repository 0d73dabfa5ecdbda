#pragma once

#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/actors/harness.hpp"

namespace fairlead::test {

/// What follows `key` in one of our own JSON texts, up to the next `,` or `}`, without quotes.
[[nodiscard]] inline std::string value_in(std::string_view json, std::string_view key) {
  const auto quoted = '"' + std::string{key} + "\":";
  const auto at = json.find(quoted);
  if (at == std::string_view::npos) return {};
  auto rest = json.substr(at + quoted.size());
  rest = rest.substr(0, rest.find_first_of(",}"));
  if (rest.starts_with('"')) rest = rest.substr(1, rest.size() - 2);
  return std::string{rest};
}
[[nodiscard]] inline std::uint64_t number_in(std::string_view json, std::string_view key) {
  const auto text = value_in(json, key);
  std::uint64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

/// A socket of a client's, and what it was told.
struct session_socket {
  connection handle;
  std::shared_ptr<fake_link> link;

  [[nodiscard]] std::vector<std::string> texts() const { return texts_in(link->sent); }
  /// The first message; empty if there was none.
  [[nodiscard]] std::string hello() const {
    const auto all = texts();
    return all.empty() ? std::string{} : all.front();
  }
  [[nodiscard]] std::string token() const { return value_in(hello(), "token"); }
  [[nodiscard]] bool recovered() const { return value_in(hello(), "recovered") == "true"; }
  [[nodiscard]] std::vector<std::uint64_t> offsets() const {
    std::vector<std::uint64_t> list;
    const auto all = texts();
    for (std::size_t i = 1; i < all.size(); ++i) list.push_back(number_in(all[i], "offset"));
    return list;
  }
  [[nodiscard]] std::optional<close_code> closed_with() const { return close_code_in(link->sent); }
};

using offsets = std::vector<std::uint64_t>;
using lines = std::vector<std::string>;

/// Writes down what it is told; throws at "throw".
struct recorder final : session_behavior {
  explicit recorder(lines& book) : book_(book) {}
  void on_start(const session& s) override { book_.push_back("start " + s.arguments()); }
  void on_attach(const session&, const connection&) override { book_.push_back("attach"); }
  void on_message(const session& s, const connection&, const message& m) override {
    book_.push_back("message " + std::string{m.view()});
    if (m.view() == "throw") throw std::runtime_error{"as asked"};
    if (m.view() == "end") s.end("said so");
    if (m.view() == "echo") s.emit("echo", "true");
    if (m.view() == "timer") s.start_timer("t", 1s);
  }
  void on_detach(const session&, const connection&, const close_info& why) override {
    book_.push_back("detach " + std::to_string(static_cast<int>(why.code)));
  }
  void on_timer(const session&, const std::string& name) override {
    book_.push_back("timer " + name);
  }
  void on_end(const session&, const session_end& why) override {
    book_.push_back("end " + std::string{to_string(why.by)});
  }
  lines& book_;
};

inline session_types plain(session_options o = {}) { return {{"plain", {{}, o}}}; }
inline session_types recorded(lines& book, session_options o = {}) {
  return {{"recorded", {[&book](const session&) { return std::make_unique<recorder>(book); }, o}}};
}

/// A harness whose server has these types of sessions.
class session_harness : public harness {
 public:
  explicit session_harness(session_types types, std::size_t loops = 1,
                           const options_change& adjust = {})
      : harness(loops, [&](actors::backbone_options& o) {
          o.session_types = std::move(types);
          if (adjust) adjust(o);
        }) {}

  spawned_session spawn(std::string type = "plain", spawn_options how = {}) {
    auto made = backbone->spawn_session(type, std::move(how));
    run();
    return made;
  }
  /// A socket that asks to attach, and was not upgraded yet.
  session_socket ask(const std::string& id, std::string token, std::size_t loop = 0) {
    return ask(id, std::move(token), 0, {}, loop, SIZE_MAX);
  }
  /// An upgraded one.
  session_socket attach(const std::string& id, std::string token, std::uint64_t after = 0,
                        std::string user = {}, std::size_t loop = 0, std::size_t room = SIZE_MAX) {
    auto made = ask(id, std::move(token), after, std::move(user), loop, room);
    made.link->upgrade();
    run();
    return made;
  }
  emit_report emit(const session& s, std::string data = "1", emit_options how = {}) {
    answers<emit_report> got;
    s.emit("e", std::move(data), std::move(how), got.next());
    run();
    if (!got.once_each()) throw std::runtime_error{"not answered exactly once"};
    return got.list().front();
  }
  session_snapshot look(const std::string& id) {
    actors::backbone::sessions_snapshot all;
    backbone->take_sessions({backbone->find_session(id)}, 1s, [&](auto s) { all = std::move(s); });
    run();
    if (all.sessions.empty()) throw std::runtime_error{"no snapshot of " + id};
    return all.sessions.front();
  }

 private:
  session_socket ask(const std::string& id, std::string token, std::uint64_t after,
                     std::string user, std::size_t loop, std::size_t room) {
    auto link = std::make_shared<fake_link>();
    link->room = room;
    actors::connection_seed seed{"127.0.0.1:50000", std::move(user), "/ws"};
    seed.attach = std::make_unique<protocol::attach_request>(
        protocol::attach_request{id, std::move(token), after, {}});
    auto handle = backbone->connect(loop, link, std::move(seed));
    run();
    clients.push_back({handle, link});
    return {handle, link};
  }
};

}  // namespace fairlead::test
