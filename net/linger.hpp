#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "net/socket_group.hpp"
#include "net/tcp_socket.hpp"

namespace fairlead::net {

/// Ends a socket so that the peer surely reads what was written: says that no more comes, discards what the peer still
/// sends until it ends too (at most 2 s and at most the close time-out), then closes. To close at once would make the
/// kernel answer unread bytes with a reset, which destroys what the peer has not read yet.
void linger(tcp_socket, const std::shared_ptr<socket_group>&, client_network);

/// Writes a whole HTTP response, or the like, as far as the kernel takes it; on a new socket that is all.
template <class Socket>
void write_at_once(Socket& socket, std::string_view response) noexcept {
  error_code ignored;
  const asio::const_buffer all(response.data(), response.size());
  socket.write_some(std::span(&all, 1), ignored);
}

}  // namespace fairlead::net
