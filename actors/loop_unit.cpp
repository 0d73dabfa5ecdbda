#include "actors/loop_unit.hpp"

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
    if (!loop_->post([this, actor] { run(actor); })) caf::intrusive_ptr_release(actor);
    return;
  }
  ready_.push_back(actor);
  if (draining_) return;
  draining_ = true;
  if (!loop_->post([this] { drain(); })) draining_ = false;
}

void loop_unit::drain() {
  // Runs what is ready and what that makes ready, so that a message passes several actors in one turn of the loop.
  for (std::size_t runs = 0; !ready_.empty() && runs < runs_per_drain; ++runs) {
    auto* actor = ready_.front();
    ready_.pop_front();
    run(actor);
  }
  draining_ = !ready_.empty() && loop_->post([this] { drain(); });
}

void loop_unit::run(caf::resumable* actor) {
  if (actor->resume(this, messages_per_run) == caf::resumable::resume_later)
    exec_later(actor);
  else
    caf::intrusive_ptr_release(actor);
}

}  // namespace fairlead::actors
