#pragma once

#include "actors/backbone.hpp"
#include "actors/caf.hpp"

namespace fairlead::actors {

/// The way to a backbone's CAF side, for include/fairlead/caf/ and tests alone.
struct caf_access {
  [[nodiscard]] static caf::actor supervisor(const backbone&);
  [[nodiscard]] static caf::actor roster(const backbone&, std::size_t loop);
  [[nodiscard]] static caf::actor_system& system(const backbone&);
};

}  // namespace fairlead::actors
