// A service that has its own work and pushes results to its users: Fairlead is the last mile, in process.
//
//   embedded_backbone [PORT]       port 0, the default, picks a free one
//   python3 -m websockets ws://127.0.0.1:PORT/ws?user=ann     then type: order
#include <condition_variable>
#include <exception>
#include <functional>
#include <iostream>
#include <mutex>
#include <queue>
#include <stop_token>
#include <string>
#include <thread>

#include <fairlead/server.hpp>
#include <fairlead/stop_signals.hpp>

namespace {

// The work: a thread of the service's own that does not know what a socket is.
class order_desk {
 public:
  using report = std::function<void(const std::string& user, const std::string& event)>;
  explicit order_desk(report tell)
      : worker_([this, tell = std::move(tell)](const std::stop_token& stop) { work(stop, tell); }) {
  }

  // Returns at once: handlers share their thread with other connections and must not block.
  void place(std::string user) {
    const std::lock_guard lock{mutex_};
    waiting_.push(std::move(user));
    changed_.notify_one();
  }

 private:
  void work(const std::stop_token& stop, const report& tell) {
    for (int order = 1;; ++order) {
      std::unique_lock lock{mutex_};
      if (!changed_.wait(lock, stop, [this] { return !waiting_.empty(); })) return;
      const auto user = std::move(waiting_.front());
      waiting_.pop();
      lock.unlock();
      for (const auto* step : {"accepted", "packed", "shipped"}) {
        tell(user, "order " + std::to_string(order) + ' ' + step);
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::queue<std::string> waiting_;
  std::jthread worker_;  // last: it uses the others
};

void log_refusals(const std::string& user, const fairlead::broadcast_summary& outcome) {
  // `written` says that the kernel took the bytes, nothing more; everything else says what the send met.
  if (outcome.refused() > 0) std::cerr << outcome.refused() << " refused for " << user << '\n';
}

}  // namespace

int main(int argc, char** argv) try {
  const fairlead::stop_signals signals;  // first: it concerns every thread that is started later

  fairlead::server clients;  // made before it is started: the desk and the handlers refer to it
  order_desk desk{[&clients](const std::string& user, const std::string& event) {
    // From any thread, at any moment, whether the user is there or not; never blocks, never throws for a user's sake.
    clients.send_to_user(
        user, fairlead::message::text(event),
        [user](const fairlead::broadcast_summary& outcome) { log_refusals(user, outcome); });
  }};

  clients.start({
      .listen = std::string{"127.0.0.1:"} + (argc > 1 ? argv[1] : "0"),
      .limits = {.max_message_size = 1024, .max_queued_bytes = 256 * 1024},
      .on_upgrade = [](const fairlead::upgrade_request& request) -> fairlead::admission {
        if (!request.query.starts_with("user="))
          return fairlead::refuse{401, "log in first: /ws?user=you"};
        return fairlead::admit{std::string{request.query.substr(5)}};
      },
      .on_message =
          [&desk](const fairlead::connection& from, const fairlead::message& asked) {
            if (asked.view() == "order") return desk.place(from.user());
            if (asked.view() == "bye") return from.close(fairlead::close_code::normal, "see you");
            from.send(fairlead::message::text("say order or bye"));
          },
  });
  std::cout << "orders at ws://" << clients.address() << "/ws?user=you" << std::endl;

  signals.wait();
  clients.shutdown();
  return 0;
} catch (const std::exception& error) {
  std::cerr << "embedded_backbone: " << error.what() << '\n';
  return 1;
}
