#pragma once

#include <deque>
#include <memory>

#include "actors/caf.hpp"
#include "protocol/ports.hpp"

namespace fairlead::actors {

class lean_actor;

/// CAF's view of one event loop: the execution unit that runs every actor pinned to it, on the loop's thread.
/// Shared by those actors, so that a message from any thread finds it for as long as there is a handle to one.
class loop_unit final : public caf::execution_unit, public std::enable_shared_from_this<loop_unit> {
 public:
  loop_unit(caf::actor_system&, std::shared_ptr<protocol::event_loop>);

  /// Any thread. On the loop's thread the actor runs later in this turn; from elsewhere it is posted.
  void exec_later(caf::resumable*) override;

  /// The lean actor that runs; null if none does. Loop's thread only.
  [[nodiscard]] lean_actor* current() const noexcept { return current_; }

  [[nodiscard]] protocol::event_loop& loop() noexcept { return *loop_; }

 private:
  friend class lean_actor;
  void post_drain();
  void drain();
  void run_posted(caf::resumable*);
  void run(caf::resumable*);

  std::shared_ptr<protocol::event_loop> loop_;
  std::deque<caf::resumable*> ready_;  // each holds a reference
  lean_actor* current_ = nullptr;
  bool draining_ = false;  // a drain is posted or under way
  bool running_ = false;   // an actor is running
};

}  // namespace fairlead::actors
