#include <cstdint>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/middleman.hpp>

#include <fairlead/caf/client.hpp>

// A backend in a process of its own, over CAF: an agent's run as five events for one user.
//
//   fairlead serve --actors 127.0.0.1:8002
//   agent_over_caf 8002 ann          prints the query to connect with, and what became of each event
//   agent_over_caf 8002 ann acked    the same, and waits for the client to say that it has the last one
//
// With its process the session ends, unless its type says that it lingers.

namespace {

struct spawned {
  caf::expected<fairlead::remote::spawned> answer;
  fairlead::remote_session session;
};

spawned spawn(const fairlead::session_client& node, std::string user) {
  std::promise<spawned> got;
  node.spawn("session", {.user = std::move(user), .metadata = {{"by", "agent_over_caf"}}},
             [&](auto answer, auto session) {
               got.set_value({std::move(answer), session});
             });
  return got.get_future().get();
}

/// False if the node is lost or did not take it.
bool emit(const fairlead::remote_session& run, const std::string& type, const std::string& data,
          bool acked = false) {
  std::promise<caf::expected<fairlead::emit_report>> got;
  // With the key, the same event may be emitted again if no answer comes.
  run.emit(type, data, {.acked = acked, .key = type},
           [&](caf::expected<fairlead::emit_report> r) { got.set_value(std::move(r)); });
  const auto report = got.get_future().get();
  std::cout << type << ": " << (report ? to_string(report->result) : "the node is lost");
  if (report && report->offset > 0) std::cout << " at " << report->offset;
  std::cout << std::endl;
  return report && report->offset > 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: agent_over_caf PORT USER [acked]\n";
    return EXIT_FAILURE;
  }
  caf::actor_system_config config;
  config.load<caf::io::middleman>();
  fairlead::remote::add_message_types(config);
  caf::actor_system system{config};

  const auto node = fairlead::session_client::connect(
      system, {.port = static_cast<std::uint16_t>(std::stoul(argv[1])),
               .on_lost = [] { std::cerr << "the node is lost\n"; }});
  if (!node) {
    std::cerr << "cannot connect: " << system.render(node.error()) << '\n';
    return EXIT_FAILURE;
  }
  const auto [made, run] = spawn(*node, argv[2]);
  if (!made || made->result != fairlead::spawn_result::spawned) {
    std::cerr << "not spawned: " << (made ? to_string(made->result) : "the node is lost") << '\n';
    return EXIT_FAILURE;
  }
  std::cout << "/ws?session=" << made->id << "&token=" << made->token << std::endl;

  const bool acked = argc > 3;
  const bool all = emit(run, "agent_started", R"({"agent": "planner"})") &&
                   emit(run, "agent_thinking", R"({"thought": "which tool?"})") &&
                   emit(run, "tool_executing", R"({"tool": "search"})") &&
                   emit(run, "tool_completed", R"({"tool": "search", "found": 3})") &&
                   emit(run, "agent_completed", R"({"answer": 42})", acked);
  return all ? EXIT_SUCCESS : EXIT_FAILURE;
}
