// A chat room: what one says, everyone hears, with the speaker's name in front.
//
//   broadcast_room [PORT]          port 0, the default, picks a free one
//   python3 -m websockets ws://127.0.0.1:PORT/ws?name=ann
#include <exception>
#include <iostream>
#include <string>

#include <fairlead/logging.hpp>
#include <fairlead/server.hpp>
#include <fairlead/stop_signals.hpp>

namespace {

// Who may come in, and as whom. The user's name is an address: server.send_to_user("ann", ...) would reach all of
// ann's connections and nobody else's. A real service would check a session cookie or a token here.
fairlead::admission let_in(const fairlead::upgrade_request& request) {
  constexpr std::string_view parameter = "name=";
  if (!request.query.starts_with(parameter) || request.query.size() == parameter.size()) {
    return fairlead::refuse{.status = 403, .reason = "say who you are: /ws?name=you"};
  }
  return fairlead::admit{.user = std::string{request.query.substr(parameter.size())}};
}

}  // namespace

int main(int argc, char** argv) try {
  const fairlead::stop_signals signals;  // first: it concerns every thread that is started later

  // The server is made before it is started, because its handlers refer to it. The room as a whole needs no state and
  // no lock: the server knows who is there.
  fairlead::server room;
  const auto announce = [&room](const std::string& line) {
    // One message, encoded once, written to every socket from the same bytes. It returns false and sends nothing if
    // too much is pending or the room is closing; a chat can live with either.
    room.broadcast(fairlead::message::text(line));
  };

  room.start({
      .listen = std::string{"127.0.0.1:"} + (argc > 1 ? argv[1] : "0"),
      .logger = fairlead::make_log(fairlead::log_format::human, fairlead::severity::warning),
      .on_upgrade = &let_in,
      .on_open = [&](const fairlead::connection& guest) { announce(guest.user() + " came in"); },
      .on_message =
          [&](const fairlead::connection& speaker, const fairlead::message& said) {
            announce(speaker.user() + ": " + std::string{said.view()});
          },
      .on_close =
          [&](const fairlead::connection& guest, const fairlead::close_info& why) {
            announce(guest.user() + " left (" + std::string{fairlead::to_string(why.by)} + ")");
          },
  });
  std::cout << "chat at ws://" << room.address() << "/ws?name=you" << std::endl;

  signals.wait();

  // Everyone gets what is queued and then a Close frame with this code and reason.
  const auto summary =
      room.shutdown(std::chrono::seconds{5}, fairlead::close_code::going_away, "the room closes");
  std::cout << summary.closed << " of " << summary.connections << " closed cleanly" << std::endl;
  return 0;
} catch (const std::exception& error) {
  std::cerr << "broadcast_room: " << error.what() << '\n';
  return 1;
}
