// An actor of your own for each connection: here an agent that runs what it is asked and reports every step, in order.
//
//   per_session_actor [PORT]       port 0, the default, picks a free one
//   python3 -m websockets ws://127.0.0.1:PORT/ws              then type anything; "crash" shows supervision
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include <fairlead/behavior.hpp>
#include <fairlead/logging.hpp>
#include <fairlead/server.hpp>
#include <fairlead/stop_signals.hpp>

namespace {

// One object per connection, made when it opens and destroyed after it ended. Its functions are called one at a time,
// in the order the connection saw, so its members need no lock.
class agent final : public fairlead::behavior {
 public:
  void opened(const fairlead::connection& client) override {
    report(client, "ready", "I am the agent of " + to_string(client.id()));
  }

  void received(const fairlead::connection& client, const fairlead::message& asked) override {
    // An exception closes this connection with 1011 and ends this agent. No other one notices.
    if (asked.view() == "crash") throw std::runtime_error{"asked to crash"};
    ++runs_;
    report(client, "agent_started", asked.view());
    report(client, "agent_thinking", "run " + std::to_string(runs_));
    report(client, "tool_executing", "count");
    report(client, "tool_completed", std::to_string(asked.size()));
    report(client, "agent_completed", "done");
  }

  void closed(const fairlead::connection& client, const fairlead::close_info& why) override {
    std::cout << to_string(client.id()) << " ended after " << runs_ << " runs with "
              << static_cast<int>(why.code) << std::endl;
  }

 private:
  // What one thread sends to one connection arrives in that order; the number lets the client see it.
  void report(const fairlead::connection& client, std::string_view event, std::string_view text) {
    auto line = std::to_string(++events_) + ' ';
    line.append(event).append(": ").append(text);
    client.send(fairlead::message::text(line));
  }

  int runs_ = 0;
  int events_ = 0;
};

}  // namespace

int main(int argc, char** argv) try {
  const fairlead::stop_signals signals;  // first: it concerns every thread that is started later
  fairlead::server server{{
      .listen = std::string{"127.0.0.1:"} + (argc > 1 ? argv[1] : "0"),
      .logger = fairlead::make_log(),
      // `per_user` would make one agent for all connections of a user, which outlives each of them.
      .per_connection = [](const fairlead::connection&) { return std::make_unique<agent>(); },
  }};
  std::cout << "an agent each at ws://" << server.address() << "/ws" << std::endl;

  signals.wait();
  server.shutdown();
  return 0;
} catch (const std::exception& error) {
  std::cerr << "per_session_actor: " << error.what() << '\n';
  return 1;
}
