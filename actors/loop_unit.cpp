#include "actors/loop_unit.hpp"

#include <utility>

#include <caf/scheduler/abstract_coordinator.hpp>

namespace fairlead::actors {

namespace {
// Messages an actor may handle in one run: enough to gather many sends into one write, few enough to stay fair.
constexpr std::size_t messages_per_run = 256;
// Runs in one drain before sockets and timers get their turn.
constexpr std::size_t runs_per_drain = 4096;
}  // namespace

loop_unit::loop_unit(caf::actor_system& system, std::shared_ptr<protocol::event_loop> loop)
    : caf::execution_unit(&system), loop_(std::move(loop)) {}

void loop_unit::exec_later(caf::resumable* actor) {
  // An actor of the embedder's that one of ours sent to runs where CAF would run it, not on our loop.
  if (actor->subtype() != caf::resumable::io_actor) return system().scheduler().enqueue(actor);
  if (!loop_->inside()) {
    // A loop that has stopped for good runs nothing; its actors have ended, or end with their last handle.
    if (!loop_->post([this, actor] { run_posted(actor); })) caf::intrusive_ptr_release(actor);
    return;
  }
  ready_.push_back(actor);
  if (!draining_) post_drain();
}

void loop_unit::post_drain() {
  draining_ = loop_->post([this] { drain(); });
  if (draining_ || running_) return;  // refused while an actor runs: who runs it drains
  caf::intrusive_ptr_release(ready_.back());
  ready_.pop_back();
}

void loop_unit::drain() {
  const auto keep = shared_from_this();  // the last actor to run may be the last to hold this
  draining_ = true;
  // Runs what is ready and what that makes ready, so that a message passes several actors in one turn of the loop.
  do {
    for (std::size_t runs = 0; !ready_.empty() && runs < runs_per_drain; ++runs) {
      auto* actor = ready_.front();
      ready_.pop_front();
      run(actor);
    }
    draining_ = !ready_.empty();
  } while (draining_ && !loop_->post([this] { drain(); }));  // refused: there will be no other turn
}

void loop_unit::run_posted(caf::resumable* actor) {
  const auto keep = shared_from_this();
  run(actor);
  if (!draining_ && !ready_.empty()) drain();  // the loop refused to post one: it is about to stop
}

void loop_unit::run(caf::resumable* actor) {
  const bool outer = std::exchange(running_, true);
  const auto result = actor->resume(this, messages_per_run);
  running_ = outer;
  if (result == caf::resumable::resume_later)
    exec_later(actor);
  else
    caf::intrusive_ptr_release(actor);
}

}  // namespace fairlead::actors
