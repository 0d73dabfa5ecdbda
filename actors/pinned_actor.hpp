#pragma once

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "actors/caf.hpp"
#include "actors/loop_unit.hpp"
#include "actors/mailbox_actor.hpp"

namespace fairlead::actors {

/// For a log line.
[[nodiscard]] std::string what_of(const std::exception_ptr&);

/// An actor that lives on one event loop: whoever sends to it and from whatever thread, it runs on that loop's thread,
/// between two socket events. CAF's network brokers are pinned the same way.
class pinned_actor : public mailbox_actor {
 public:
  pinned_actor(caf::actor_config&, std::shared_ptr<loop_unit>);

  void enqueue(caf::mailbox_element_ptr, caf::execution_unit*) final;
  void launch(caf::execution_unit*, bool lazy, bool hide) final;
  resume_result resume(caf::execution_unit*, std::size_t max_messages) final;
  /// As CAF's brokers: not for its scheduler to run.
  [[nodiscard]] subtype_t subtype() const final { return io_actor; }

 protected:
  /// After each run that did not end the actor: everything its mailbox held has been handled.
  virtual void after_run() {}
  /// A monitored actor is gone.
  virtual void on_down(const caf::down_msg&) {}
  /// One of this actor's own handlers threw; the actor ends after this. `what` says what was thrown.
  virtual void on_crash(std::string_view /*what*/) {}

  [[nodiscard]] loop_unit& unit() const noexcept { return *unit_; }
  [[nodiscard]] const std::shared_ptr<loop_unit>& shared_unit() const noexcept { return unit_; }
  [[nodiscard]] protocol::event_loop& loop() const noexcept { return unit_->loop(); }
  [[nodiscard]] caf::strong_actor_ptr self() { return caf::strong_actor_ptr{ctrl()}; }

 private:
  std::shared_ptr<loop_unit> unit_;
};

/// Spawns an actor with this id on the unit's loop. It starts with its first message.
template <class Actor, class... Args>
[[nodiscard]] caf::strong_actor_ptr
spawn_pinned_as(caf::actor_id id, const std::shared_ptr<loop_unit>& unit, Args&&... args) {
  auto& system = unit->system();
  caf::actor_config config{unit.get()};
  auto handle = caf::make_actor<Actor, caf::strong_actor_ptr>(id, system.node(), &system, config,
                                                              unit, std::forward<Args>(args)...);
  static_cast<Actor*>(caf::actor_cast<caf::abstract_actor*>(handle))
      ->launch(unit.get(), true, false);
  return handle;
}

template <class Actor, class... Args>
[[nodiscard]] caf::strong_actor_ptr spawn_pinned(const std::shared_ptr<loop_unit>& unit,
                                                 Args&&... args) {
  return spawn_pinned_as<Actor>(unit->system().next_actor_id(), unit, std::forward<Args>(args)...);
}

}  // namespace fairlead::actors
