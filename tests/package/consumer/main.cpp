#include <cstdlib>
#include <iostream>

#include <fairlead/server.hpp>

// The smallest embedder: a server on a port that the system picks, started and shut down.
int main() {
  fairlead::server server{{.listen = "127.0.0.1:0", .threads = 1}};
  if (server.address().ends_with(":0") || server.connection_count() != 0) {
    std::cerr << "address " << server.address() << ", connections " << server.connection_count()
              << '\n';
    return EXIT_FAILURE;
  }
  const auto summary = server.shutdown();
  return summary.connections == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
