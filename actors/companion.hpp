#pragma once

#include <memory>

#include <fairlead/behavior.hpp>

#include "actors/environment.hpp"
#include "actors/pinned_actor.hpp"

namespace fairlead::actors {

/// Spawns the actor around an embedder's behavior, of one connection or of one user. It ends when it is told to retire,
/// when what it served is gone (`serves_one`), or when the behavior throws: then it closes what it serves with 1011.
[[nodiscard]] caf::strong_actor_ptr spawn_companion(const std::shared_ptr<loop_unit>&, environment&,
                                                    loop_context&, std::unique_ptr<behavior>,
                                                    bool serves_one = true);

}  // namespace fairlead::actors
