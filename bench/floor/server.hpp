#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/common/descriptor.hpp"
#include "bench/common/poller.hpp"

namespace fairlead::bench {

/// broadcast: one `send()` per message and connection. gather: one per round of epoll and connection,
/// with all messages of that round; the least that folding can cost. echo: back to the sender.
enum class floor_mode { broadcast, gather, echo };

/// The least a WebSocket server can do: one thread, one epoll, one `send()` for each connection of a broadcast.
/// What it costs is what the kernel costs; Fairlead's figures are given as multiples of it.
class floor_server {
 public:
  /// Listens on 127.0.0.1; port 0 lets the kernel choose. Throws std::system_error.
  floor_server(std::uint16_t port, floor_mode mode);

  [[nodiscard]] std::uint16_t port() const;

  /// Serves until the process is stopped.
  [[noreturn]] void run();

 private:
  struct connection {
    descriptor socket;
    bool open = false;  // upgraded, and listed in open_
    bool dead =
        false;  // failed; freed when the batch of events is over, because open_ may be under iteration
    std::size_t slot = 0;  // its place in all_
    std::string in;        // an incomplete request or frame
    std::string out;       // what the kernel would not take
  };

  void accept_all();
  void on_event(connection& peer, std::uint32_t events);
  void read(connection& peer, bool to_the_end);
  std::size_t consume(connection& peer, char* bytes, std::size_t size);
  std::size_t upgrade(connection& peer, std::string_view bytes);
  void on_message(connection& sender, std::string_view payload);
  void broadcast();
  void on_close(connection& peer, std::string_view payload);
  void send(connection& peer, std::string_view bytes);
  void keep(connection& peer, std::string_view rest);
  void flush(connection& peer);
  void kill(connection& peer);
  void reap();

  floor_mode mode_;
  descriptor listener_;
  poller poller_;
  std::vector<std::unique_ptr<connection>> all_;
  std::vector<connection*> open_;
  std::vector<connection*> dead_;
  std::vector<char> scratch_;
  std::string frame_;  // pre-built, to be sent; its capacity is reused
};

}  // namespace fairlead::bench
