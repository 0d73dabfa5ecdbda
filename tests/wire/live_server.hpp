#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fairlead/server.hpp>

#include "tests/support/raw_client.hpp"
#include "tests/support/waiting.hpp"

namespace fairlead::test {

inline raw_client plain_client(const std::string& address, int receive_buffer) {
  return raw_client{address, receive_buffer};
}

/// A server on a free port that echoes, and what its handlers saw. A client's query is its user.
class live_server {
 public:
  struct line {
    raw_client client;
    connection handle;
  };

  /// `make_client`: connects to an address, with a receive buffer of so many bytes, or any.
  using client_maker = std::function<raw_client(const std::string&, int)>;

  explicit live_server(server_options options = {}, client_maker make_client = plain_client)
      : make_client_(std::move(make_client)) {
    options.listen = "127.0.0.1:0";
    // These clients answer no pings, and a slow machine must not end them for that.
    if (options.limits.ping_interval == limits{}.ping_interval)
      options.limits.ping_interval = std::chrono::hours{1};
    if (!options.on_upgrade && !options.on_upgrade_async) {
      options.on_upgrade = [](const upgrade_request& r) -> admission {
        return admit{std::string{r.query}};
      };
    }
    options.on_open = [this](const connection& c) { opened_.put(c); };
    if (!options.on_message)
      options.on_message = [](const connection& c, const message& m) { c.send(m); };
    options.on_close = [this](const connection& c, const close_info& why) {
      const std::lock_guard lock{mutex_};
      ends_[c.id()].push_back(why);
      changed_.notify_all();
    };
    server_.start(std::move(options));
  }

  server* operator->() { return &server_; }
  server& operator*() { return server_; }

  /// Opens one connection; not for use beside itself.
  line join(std::string_view user = {}, int receive_buffer = 0) {
    raw_client client = make_client_(server_.address(), receive_buffer);
    client.upgrade("/ws?" + std::string{user});
    return {std::move(client), opened_.take()};
  }
  /// The next connection of which on_open told.
  connection opened() { return opened_.take(); }

  /// How it ended, once it has; throws if it does not.
  close_info end_of(const connection& c) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, raw_client::patience, [&] { return ends_.contains(c.id()); }))
      throw std::runtime_error{"the connection does not end"};
    return ends_[c.id()].front();
  }
  std::size_t times_ended(const connection& c) {
    const std::lock_guard lock{mutex_};
    return ends_[c.id()].size();
  }

  connection_snapshot snapshot_of(const connection& c) {
    for (auto& one : server_.snapshot(longest_wait).get().connections)
      if (one.id == c.id()) return std::move(one);
    throw std::runtime_error{"no snapshot has this connection"};
  }
  /// The record of a connection's end, if there is one yet.
  std::optional<closed_record> record_of(const connection& c) {
    for (auto& one : server_.recently_closed().get())
      if (one.id == c.id()) return std::move(one);
    return std::nullopt;
  }

 private:
  const client_maker make_client_;
  mailbox<connection> opened_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<connection_id, std::vector<close_info>> ends_;
  server server_;  // last: its handlers use the others
};

/// Whether a text that this client sends comes back.
inline bool echoes(raw_client& client, std::string_view text = "still there?") {
  client.send(text_frame(text));
  const auto back = client.receive_frame();
  return back && back->opcode == 1 && back->payload == text;
}
inline bool echoes(raw_client&& client) { return echoes(client); }

}  // namespace fairlead::test
