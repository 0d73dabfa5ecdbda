#pragma once

#include <cstddef>
#include <memory>

#include <fairlead/log.hpp>

#include "protocol/ports.hpp"

namespace boost::asio {
class io_context;
}

namespace fairlead::net {

class poller;

/// An event loop: one thread, one io_context, one timer wheel. Held by shared_ptr because `post` is safe for ever: a
/// handle kept after the server is gone still posts to it, and is told false.
class loop : public protocol::event_loop {
 public:
  /// Starts the thread (named `fairlead-<index>` for the operator's tools). What a task throws ends in `logger`.
  [[nodiscard]] static std::shared_ptr<loop> start(std::size_t index,
                                                   std::shared_ptr<log> logger = {});
  /// Refuses further posts, runs what was posted before, closes descriptors, joins. Idempotent; not from its own thread.
  /// Listeners on it must have been stopped: what owns a socket must not outlive the io_context.
  virtual void stop() = 0;
  [[nodiscard]] virtual std::size_t index() const noexcept = 0;
  /// Gone once `stop` has returned.
  [[nodiscard]] virtual boost::asio::io_context& context() noexcept = 0;
  /// What the loop's sockets live on. Gone with the context.
  [[nodiscard]] virtual poller& sockets() noexcept = 0;
  /// A new turn: `now` reads the clock when it is next asked. Called first by what wakes the io_context and is neither
  /// a posted task nor a socket of `sockets`. Loop's thread only.
  virtual void begin_turn() noexcept = 0;
};

}  // namespace fairlead::net
