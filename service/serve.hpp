#pragma once

#include <iosfwd>

#include "service/reload.hpp"
#include "service/settings.hpp"

namespace fairlead::service {

/// `fairlead serve`: serves until SIGINT or SIGTERM, then drains; at SIGHUP reloads what `read` returns. Prints to `out`
/// where to connect. Returns the exit code; throws what `server::start` throws. Call it on the main thread, before there is any other.
int serve(settings, const read_again& read, std::ostream& out);

}  // namespace fairlead::service
