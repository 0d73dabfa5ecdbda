#include <fairlead/server.hpp>
#include <boost/asio.hpp>
#include "protocol/frame.hpp"
