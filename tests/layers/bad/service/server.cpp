#include "net/link.hpp"
#include "actors/roster.hpp"
#include "tests/support/socket.hpp"
