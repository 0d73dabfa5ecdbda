#include <caf/all.hpp>
#include "protocol/frame.hpp"
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include "net/link.hpp"
#include "service/config.hpp"
