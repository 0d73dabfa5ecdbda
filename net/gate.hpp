#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "net/asio.hpp"
#include "net/http.hpp"
#include "net/socket_group.hpp"
#include "net/tls_context.hpp"

namespace fairlead::net {

/// Where one loop accepts the sockets of one listener. Its functions are called on that loop's thread.
class gate : public std::enable_shared_from_this<gate> {
 public:
  struct options {
    std::shared_ptr<socket_group> sockets;
    std::shared_ptr<http_service> service;
    std::size_t max_body;
    std::string address;               ///< for the log
    std::size_t refusals_at_once;      ///< see listener_options
    std::shared_ptr<tls_context> tls;  ///< null: none
  };

  gate(tcp_acceptor, options);

  void accept();
  /// No more sockets are accepted, no more requests served; links live on.
  void close() noexcept;
  /// Other limits are in force.
  void limits_changed() noexcept;
  /// Every socket that is left is closed, and the service let go.
  void drop() noexcept;

 private:
  void on_waiting();
  void set_user_timeout() noexcept;
  void admit(int descriptor, const asio::ip::tcp::endpoint& peer);
  void pause(int error);

  std::optional<tcp_acceptor> acceptor_;
  options options_;
  protocol::timer retry_;
  bool pausing_ = false;
};

}  // namespace fairlead::net
