#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// What this process says if it dies: which seed it was at, and how to run that again.
namespace fairlead::simulation::crash_note {

/// From now on a signal, std::terminate or a sanitizer that ends the process writes the note to standard error first.
void watch();
/// The note. Without a line feed at the end; cut to what there is room for.
void set(std::string_view);

}  // namespace fairlead::simulation::crash_note
