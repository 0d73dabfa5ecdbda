#include "net/link.hpp"
#include "protocol/frame.hpp"
#include <boost/beast/core.hpp>
#include <caf/all.hpp>
#include "actors/messages.hpp"
#include "../service/config.hpp"
#include "tests/support/socket.hpp"
