#include <cstdio>
#include <exception>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/common/handshake.hpp"
#include "bench/floor/server.hpp"

int main(int argc, char** argv) {
  using fairlead::bench::floor_mode;
  CLI::App app{"The floor: the least a WebSocket server can do, to compare against."};
  std::uint16_t port = 0;
  floor_mode mode = floor_mode::broadcast;
  app.add_option("--port", port, "port on 127.0.0.1; 0 picks one and prints it");
  app.add_option("--mode", mode, "what to do with a message")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, floor_mode>{{"broadcast", floor_mode::broadcast},
                                            {"gather", floor_mode::gather},
                                            {"echo", floor_mode::echo}}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    fairlead::bench::raise_descriptor_limit();
    fairlead::bench::floor_server server(port, mode);
    fmt::print("listening on 127.0.0.1:{}\n", server.port());
    std::fflush(stdout);
    server.run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "fairlead_floor: {}\n", error.what());
    return 1;
  }
}
