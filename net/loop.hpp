#pragma once

#include <cstddef>
#include <memory>

#include "protocol/ports.hpp"

namespace boost::asio {
class io_context;
}

namespace fairlead::net {

/// An event loop: one thread, one io_context, one timer wheel. Held by shared_ptr because `post` is safe for ever: a
/// handle kept after the server is gone still posts to it, and is told false.
class loop : public protocol::event_loop {
 public:
  /// Starts the thread (named `fairlead-<index>` for the operator's tools).
  [[nodiscard]] static std::shared_ptr<loop> start(std::size_t index);
  /// Refuses further posts, runs what was posted before, closes descriptors, joins. Idempotent; not from its own thread.
  virtual void stop() = 0;
  [[nodiscard]] virtual std::size_t index() const noexcept = 0;
  [[nodiscard]] virtual boost::asio::io_context& context() noexcept = 0;
};

}  // namespace fairlead::net
