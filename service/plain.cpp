#include "service/plain.hpp"

#include <utility>

namespace fairlead::service {

void serve_plain(plain_mode mode, server_options& options, server& server) {
  switch (mode) {
  case plain_mode::broadcast:
    options.on_message = [&server](const connection& from, const message& m) {
      // The bound is the whole server's, but someone has to slow down, and it is the one who sends.
      if (!server.broadcast(m))
        from.close(close_code::try_again_later, "too many broadcasts are pending");
    };
    break;
  case plain_mode::echo:
    options.on_message = [](const connection& from, const message& m) { from.send(m); };
    break;
  case plain_mode::off: break;  // read, counted in the connection's traffic, and dropped
  }
}

void trust_user_header(std::string name, server_options& options) {
  options.on_upgrade = [name = std::move(name)](const upgrade_request& request) -> admission {
    return admit{.user = std::string{request.header(name)}};
  };
}

}  // namespace fairlead::service
