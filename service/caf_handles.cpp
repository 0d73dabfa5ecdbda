#include <stdexcept>

#include <fairlead/caf/actors.hpp>

#include "actors/caf_access.hpp"
#include "service/server_impl.hpp"

namespace fairlead {

/// The way from a server to its backbone, for this file alone.
struct server_access {
  [[nodiscard]] static actors::backbone* backbone(const server& s) noexcept {
    return s.impl_ ? &s.impl_->backbone() : nullptr;
  }
};

caf::actor supervisor_of(const server& s) {
  const auto* backbone = server_access::backbone(s);
  return backbone ? actors::caf_access::supervisor(*backbone) : caf::actor{};
}

caf::actor_system& system_of(server& s) {
  if (auto* backbone = server_access::backbone(s)) return actors::caf_access::system(*backbone);
  throw std::logic_error{"fairlead::system_of: a server that was not started has no actor system"};
}

}  // namespace fairlead
