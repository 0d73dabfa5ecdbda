#include <stdexcept>

#include <fairlead/caf/actors.hpp>

#include "actors/caf_access.hpp"
#include "service/server_access.hpp"

namespace fairlead {

caf::actor supervisor_of(const server& s) {
  const auto* backbone = server_access::backbone(s);
  return backbone ? actors::caf_access::supervisor(*backbone) : caf::actor{};
}

caf::actor_system& system_of(server& s) {
  if (auto* backbone = server_access::backbone(s)) return actors::caf_access::system(*backbone);
  throw std::logic_error{"fairlead::system_of: a server that was not started has no actor system"};
}

}  // namespace fairlead
