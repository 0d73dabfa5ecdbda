#include <algorithm>
#include <exception>
#include <functional>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "bench/load/scenarios.hpp"
#include "bench/load/stamp.hpp"

namespace {

using namespace fairlead::bench;

constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

void add_target(CLI::App& command, target_options& target) {
  command.add_option("--port", target.port, "the server's port on 127.0.0.1")
      ->required()
      ->check(CLI::Range(1, 65535));
  command.add_option("--pid", target.pid, "the server's process id")
      ->required()
      ->check(CLI::PositiveNumber);
  command.add_option("--path", target.path, "the path to upgrade")->capture_default_str();
  command.add_option("--batch", target.batch, "connections being opened at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      .add_option_function<unsigned>(
          "--timeout",
          [&target](unsigned seconds) { target.timeout = std::chrono::seconds(seconds); },
          "seconds for the whole run [60]")
      ->check(CLI::Range(1, 3600));
}

void add_window(CLI::App& command, window_options& window) {
  command.add_option("--warmup", window.warmup, "seconds before the measured window")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  command.add_option("--seconds", window.seconds, "seconds of the measured window")
      ->check(CLI::Range(0.01, 600.0))
      ->capture_default_str();
  command.add_option("--rounds", window.rounds, "also stop after so many messages; 0: no limit");
}

void add_count(CLI::App& command, const char* name, std::size_t& value, const char* help,
               std::size_t least = 1, std::size_t most = 1'000'000) {
  command.add_option(name, value, help)->check(CLI::Range(least, most))->capture_default_str();
}

constexpr std::size_t least_payload = stamped_frame::stamp_size;
constexpr std::size_t most_payload = 65'536;

void add_broadcast(CLI::App& command, broadcast_options& options) {
  add_window(command, options.window);
  add_count(command, "--connections", options.connections, "connections that read and are counted");
  add_count(command, "--payload", options.payload, "bytes per message", least_payload,
            most_payload);
  add_count(command, "--in-flight", options.in_flight, "broadcasts on their way at once", 1, 4096);
  add_count(command, "--silent-readers", options.silent_readers,
            "more connections, which never read", 0);
  add_count(command, "--fill", options.fill,
            "before the warm-up, so many bytes to each in large messages, then in messages of the "
            "payload (5,000 at most): "
            "fills the queues of those who never read",
            0, 1'000'000'000);
  command.add_option("--senders", options.senders,
                     "connections that take turns to send; 0: as many as in flight");
  command.callback([&options] {
    if (options.senders == 0) options.senders = std::min(options.in_flight, options.connections);
    if (options.senders > options.connections)
      throw CLI::ValidationError("--senders", "must not be more than --connections");
  });
}

void add_echo(CLI::App& command, echo_options& options) {
  add_window(command, options.window);
  add_count(command, "--connections", options.connections, "connections");
  add_count(command, "--payload", options.payload, "bytes per message", least_payload,
            most_payload);
}

int run(const std::function<outcome()>& scenario) {
  try {
    const auto [report, clean] = scenario();
    fmt::print("{}\n", boost::json::serialize(report));
    return clean ? 0 : exit_failure;
  } catch (const std::exception& error) {
    fmt::print(stderr, "fairlead_load: {}\n", error.what());
    return exit_failure;
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Drives a WebSocket server on the loopback interface and accounts what it costs: "
               "one JSON object on "
               "stdout.\nExit codes: 0 clean, 1 failure or faults (lost, duplicate, reordered, "
               "corrupt), 2 usage."};
  app.require_subcommand(1);
  target_options target;
  broadcast_options broadcast;
  echo_options echo;
  idle_options idle;

  auto& broadcast_command =
      *app.add_subcommand("broadcast", "every message goes to every connection");
  add_broadcast(broadcast_command, broadcast);
  auto& echo_command =
      *app.add_subcommand("echo", "each message comes back; one in flight per connection");
  add_echo(echo_command, echo);
  auto& idle_command =
      *app.add_subcommand("idle", "memory and CPU time of connections that only exist");
  add_count(idle_command, "--connections", idle.connections, "connections");
  for (auto* command : {&broadcast_command, &echo_command, &idle_command})
    add_target(*command, target);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  if (broadcast_command.parsed()) return run([&] { return run_broadcast(target, broadcast); });
  if (echo_command.parsed()) return run([&] { return run_echo(target, echo); });
  return run([&] { return run_idle(target, idle); });
}
