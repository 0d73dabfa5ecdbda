#pragma once

#include <iosfwd>

#include "service/settings.hpp"

namespace fairlead::service {

/// `fairlead serve`: serves until SIGINT or SIGTERM, then drains. Prints to `out` where to connect. Returns the exit
/// code; throws what `server::start` throws. Call it on the main thread, before there is any other.
int serve(settings, std::ostream& out);

}  // namespace fairlead::service
