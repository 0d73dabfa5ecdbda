#include <fairlead/version.hpp>

namespace fairlead {

std::string_view version() noexcept { return FAIRLEAD_VERSION; }

}  // namespace fairlead
