#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

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

  /// From now on this actor has its turn at the beginning of each drain: so that a stop and its deadline are not behind
  /// everybody's mail. For the few that direct the others. Before it gets its first message.
  void put_first(const caf::strong_actor_ptr&);

  /// The lean actor that runs; null if none does. Loop's thread only.
  [[nodiscard]] lean_actor* current() const noexcept { return current_; }

  [[nodiscard]] protocol::event_loop& loop() noexcept { return *loop_; }

 private:
  friend class lean_actor;
  using queue = std::deque<caf::resumable*>;  // each holds a reference

  [[nodiscard]] queue& queue_of(const caf::resumable* actor) noexcept {
    return std::ranges::find(directors_, actor) == directors_.end() ? ready_ : first_;
  }
  [[nodiscard]] bool idle() const noexcept { return ready_.empty() && first_.empty(); }
  [[nodiscard]] bool post_drain();
  void drain();
  void run_some();
  void run_posted(caf::resumable*);
  void run_next(queue&);

  std::shared_ptr<protocol::event_loop> loop_;
  std::vector<const caf::resumable*>
      directors_;  // who was put first: compared, and not looked into
  queue ready_;
  queue first_;                         // those of the directors that are ready
  std::atomic<std::size_t> posted_{0};  // actors that are on their way from other threads
  lean_actor* current_ = nullptr;
  bool draining_ = false;  // a drain is posted or under way
};

}  // namespace fairlead::actors
