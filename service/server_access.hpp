#pragma once

#include <fairlead/server.hpp>

#include "service/server_impl.hpp"

namespace fairlead {

/// The way from a server to its backbone, for fairlead/caf/ and the program. Null before it is started.
struct server_access {
  [[nodiscard]] static actors::backbone* backbone(const server& s) noexcept {
    return s.impl_ ? &s.impl_->backbone() : nullptr;
  }
};

}  // namespace fairlead
