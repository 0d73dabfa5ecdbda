#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace fairlead::net {

namespace asio = boost::asio;
using boost::system::error_code;

/// It knows its executor's type: handlers are smaller and cheaper than with the type-erased one.
using tcp_acceptor = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;

}  // namespace fairlead::net
