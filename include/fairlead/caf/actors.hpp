#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <fairlead/caf/messages.hpp>
#include <fairlead/connection.hpp>
#include <fairlead/server.hpp>

/// For an embedder that lives in CAF: Fairlead's actors as actors, to monitor, to link to and to send to.
namespace fairlead {

/// The actor that owns this connection. Monitor it to be told of its end; messages to it are in <fairlead/caf/messages.hpp>.
/// An exit message sent to it kills the connection. A null handle for no connection, a dead actor for one that has ended.
[[nodiscard]] caf::actor actor_of(const connection&);

/// The root of the supervision tree; takes `broadcast_message`. An exit message sent to it stops nothing cleanly: don't.
[[nodiscard]] caf::actor supervisor_of(const server&);

/// The system that Fairlead's actors live in, to spawn others beside them. Those run on CAF's own scheduler
/// (server_options::actor_threads), not on the event loops, and must have ended before the server is shut down.
[[nodiscard]] caf::actor_system& system_of(server&);

}  // namespace fairlead
