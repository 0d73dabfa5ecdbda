#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/http.hpp"
#include "net/loop.hpp"
#include "tests/support/raw_client.hpp"
#include "tests/support/waiting.hpp"

namespace fairlead::test {

using namespace std::chrono_literals;

inline std::size_t open_descriptors() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

/// What a link reported, in order, as the test's thread reads it.
class diary {
 public:
  void add(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  /// Waits for a line that starts so, and returns it. Throws if it never comes.
  std::string await(std::string_view start) {
    std::unique_lock lock(mutex_);
    std::string found;
    const auto look = [&] {
      for (const auto& line : lines_) {
        if (line.starts_with(start)) return found = line, true;
      }
      return false;
    };
    if (!changed_.wait_for(lock, 30s, look))
      throw std::runtime_error("waited in vain for '" + std::string(start) + "'");
    return found;
  }
  [[nodiscard]] std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  [[nodiscard]] std::size_t count(std::string_view start) {
    std::size_t n = 0;
    for (const auto& line : lines()) n += line.starts_with(start) ? 1 : 0;
    return n;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

/// What stands in for an actor: it owns the link, and the link's observer owns it, as it is in the server.
struct line {
  std::shared_ptr<protocol::link> link;
  diary reports;
  std::function<void(line&)> upgraded = [](line& l) { l.link->resume_reading(); };
  std::function<void(line&, const message&)> received = [](line&, const message&) {};
  protocol::progress written;  ///< by flush and on_progress together

  /// Loop's thread only.
  void send(const message& m, protocol::receipt asked = {}) {
    if (!link->write(protocol::as_chunk(m, std::move(asked)))) reports.add("refused");
  }
  void flush() { count(link->flush()); }
  void count(protocol::progress p) {
    written.messages += p.messages;
    written.bytes += p.bytes;
  }
};

class recording_observer final : public protocol::link_observer {
 public:
  explicit recording_observer(std::shared_ptr<line> l) : line_(std::move(l)) {}
  ~recording_observer() override { line_->reports.add("observer destroyed"); }
  void on_upgraded() override {
    line_->reports.add("upgraded");
    line_->upgraded(*line_);
  }
  void on_message(message m) override {
    const char* kind = m.kind() == message_kind::text ? "text " : "binary ";
    line_->reports.add(kind + (m.size() > 100 ? std::to_string(m.size()) : std::string(m.view())));
    line_->received(*line_, m);
  }
  void on_progress(protocol::progress p) override {
    line_->count(p);
    line_->reports.add("progress");
  }
  void on_peer_close(close_code code, std::string reason) override {
    line_->reports.add("peer closed " + std::to_string(static_cast<unsigned>(code)) + " " + reason);
  }
  void on_violation(close_code code, std::string what) override {
    line_->reports.add("violated " + std::to_string(static_cast<unsigned>(code)) + " " + what);
  }
  void on_limit(close_code code, std::string reason) override {
    line_->reports.add("limit " + std::to_string(static_cast<unsigned>(code)) + " " + reason);
  }
  void on_closed() override { line_->reports.add("closed"); }
  void on_failed(std::error_code ec, std::string what) override {
    line_->reports.add("failed " + std::to_string(ec.value()) + " " + what);
  }

 private:
  const std::shared_ptr<line> line_;
};

/// One loop, one listener, links with recording observers.
class test_server : public net::http_service, public std::enable_shared_from_this<test_server> {
 public:
  static std::shared_ptr<test_server> start(limits bounds = {}, std::shared_ptr<log> logger = {},
                                            std::shared_ptr<net::tls_context> tls = {},
                                            const compression_options& compression = {}) {
    auto server = std::make_shared<test_server>();
    server->loop = net::loop::start(0);
    server->listener = net::listener::start(
        {"127.0.0.1:0", bounds, 1024, std::move(logger), server->hits, std::move(tls), compression},
        {server->loop}, server);
    server->listener->accept();
    return server;
  }
  void stop() {
    listener->stop();
    loop->stop();
    const std::lock_guard lock(mutex_);
    lines_.clear();
  }

  [[nodiscard]] std::string address() const { return listener->address(); }

  /// Runs on the loop, waits for its end.
  void on_loop(std::function<void()> task) {
    std::promise<void> done;
    if (!loop->post([&] {
          task();
          done.set_value();
        }))
      throw std::runtime_error("the loop has stopped");
    if (done.get_future().wait_for(30s) != std::future_status::ready)
      throw std::runtime_error("the loop hangs");
  }

  /// The link of the `n`th upgrade.
  std::shared_ptr<line> line_of(std::size_t n) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 30s, [&] { return lines_.size() > n; }))
      throw std::runtime_error("no upgrade came");
    return lines_[n];
  }
  void forget_lines() {
    const std::lock_guard lock(mutex_);
    lines_.clear();
  }

  /// Opens a WebSocket and waits until the server knows.
  std::pair<raw_client, std::shared_ptr<line>> connect(int receive_buffer = 0) {
    return connect(raw_client(address(), receive_buffer));
  }
  std::pair<raw_client, std::shared_ptr<line>> connect(raw_client client) {
    client.upgrade();
    std::size_t last = 0;
    {
      const std::lock_guard lock(mutex_);
      last = lines_.size() - 1;
    }
    auto opened = line_of(last);
    opened->reports.await("upgraded");
    return {std::move(client), std::move(opened)};
  }

  void handle(const net::http_request& request, net::respond respond) override {
    on_request(request, std::move(respond));
  }
  std::optional<net::http_response> upgrade(std::size_t, const upgrade_request& request,
                                            net::upgrade_turn& turn) override {
    return on_upgrade(request, turn);
  }

  std::shared_ptr<net::loop> loop;
  std::unique_ptr<net::listener> listener;
  const std::shared_ptr<protocol::limit_hits> hits = std::make_shared<protocol::limit_hits>();
  /// How the next lines behave; set before they connect.
  std::function<void(line&)> prepare = [](line&) {};
  std::function<void(const net::http_request&, net::respond)> on_request =
      [](const net::http_request& request, const net::respond& respond) {
        respond({200,
                 "text/plain",
                 request.method + " " + request.path + "?" + request.query + " " + request.body,
                 {}});
      };
  std::function<std::optional<net::http_response>(const upgrade_request&, net::upgrade_turn&)>
      on_upgrade = [this](const upgrade_request&, net::upgrade_turn& turn) {
        auto opened = std::make_shared<line>();
        prepare(*opened);
        opened->link = turn.take();
        {
          const std::lock_guard lock(mutex_);
          lines_.push_back(opened);
          changed_.notify_all();
        }
        opened->link->open(std::make_unique<recording_observer>(opened));
        return std::nullopt;
      };

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<line>> lines_;
};

/// Stops the server at the end of a test, however it ends.
struct running_server {
  explicit running_server(limits bounds = {}, std::shared_ptr<log> logger = {},
                          std::shared_ptr<net::tls_context> tls = {},
                          const compression_options& compression = {})
      : server(test_server::start(bounds, std::move(logger), std::move(tls), compression)) {}
  ~running_server() { server->stop(); }
  running_server(const running_server&) = delete;
  running_server& operator=(const running_server&) = delete;
  test_server* operator->() const { return server.get(); }
  std::shared_ptr<test_server> server;
};

}  // namespace fairlead::test
