#pragma once

#include <functional>
#include <memory>
#include <string>

#include <fairlead/connection.hpp>

namespace fairlead {

/// The embedder's own actor: per connection or per user, with its own state, run by Fairlead under supervision.
///
/// Its functions are called one at a time, on one event loop's thread, in the order the connection saw: `opened`
/// once per connection, `received` for each message, `closed` once. Its state needs no lock. It sends through the
/// connection handles it is given. If one of its functions throws, the connections it serves are closed with 1011 and
/// it is destroyed; nothing else is hurt. Do not block in it: it shares its thread with connections.
class behavior {
 public:
  virtual ~behavior() = default;
  virtual void opened(const connection&) {}
  virtual void received(const connection&, const message&) {}
  virtual void closed(const connection&, const close_info&) {}
};

/// Makes the actor of a connection that is about to open. Returning null refuses the connection with 1011.
using connection_behavior_factory = std::function<std::unique_ptr<behavior>(const connection&)>;
/// Makes the actor of a user whose first connection is about to open.
using user_behavior_factory = std::function<std::unique_ptr<behavior>(const std::string& user)>;

}  // namespace fairlead
