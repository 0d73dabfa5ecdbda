#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>

#include <caf/intrusive/lifo_inbox.hpp>
#include <caf/intrusive/singly_linked.hpp>
#include <caf/local_actor.hpp>

#include "actors/caf.hpp"
#include "actors/loop_unit.hpp"

namespace fairlead::actors {

/// An actor pinned to its loop, as `pinned_actor`, for actors that come in their thousands: 800 bytes smaller. It is CAF's
/// in all that others see of an actor: handles, monitors, links, exit messages, answers to requests. It has one mailbox,
/// first in, first out, and leaves out what CAF's event-based actor keeps beside it: other priorities, streams, timeouts,
/// requests of its own, skipped messages, handlers of its own. (docs/adr/0012.)
class lean_actor : public caf::local_actor, public caf::resumable {
 public:
  lean_actor(caf::actor_config&, std::shared_ptr<loop_unit>);

  // What CAF calls. Any thread, but for `resume`.
  using caf::local_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr, caf::execution_unit*) final;
  void launch(caf::execution_unit*, bool lazy, bool hide) final;
  bool cleanup(caf::error&& why, caf::execution_unit*) final;
  resume_result resume(caf::execution_unit*, std::size_t max_messages) final;
  [[nodiscard]] subtype_t subtype() const final { return io_actor; }
  void intrusive_ptr_add_ref_impl() final { caf::intrusive_ptr_add_ref(ctrl()); }
  void intrusive_ptr_release_impl() final { caf::intrusive_ptr_release(ctrl()); }

 protected:
  /// What handles its messages. They may be shared by the actors of a loop: `loop_unit::current` says whose turn it is.
  virtual caf::behavior& handlers() = 0;
  /// After each run that did not end the actor: everything its mailbox held has been handled.
  virtual void after_run() {}
  /// A monitored actor is gone.
  virtual void on_down(const caf::down_msg&) {}
  /// One of this actor's own handlers threw; the actor ends after this. `what` says what was thrown.
  virtual void on_crash(std::string_view /*what*/) {}

  /// Ends the actor after the message that is being handled: `on_exit`, then whoever monitors it is told. What is in the
  /// mailbox is destroyed; who asked and got no answer gets an error.
  void quit(caf::error why = {}) noexcept;

  /// Handles one message at once instead of storing it, where storing it would come to the same: the mailbox is empty and
  /// no run is under way. False, and nothing was done, otherwise. Loop's thread only.
  template <class Handler>
  [[nodiscard]] bool handle_now(Handler&& handler) {
    return begin_run([&] {
      handler();
      if (!quitting_) after_run();
    });
  }
  /// The same, but that the run stays open: whoever calls this calls `finish_run` before its own run ends. What comes by the
  /// mailbox in between finishes it as well.
  template <class Handler>
  [[nodiscard]] bool begin_run(Handler&& handler) {
    if (running_ || !idle()) return false;
    const run_scope running{*this};
    guarded(handler);
    // Ends in a run of its own: who called may still be using what `on_exit` lets go.
    if (quitting_ && inbox_.try_unblock()) run_later();
    return true;
  }
  void finish_run() {
    static_cast<void>(handle_now([] {}));
  }

  /// The mailbox is empty and waits for a message. Any thread.
  [[nodiscard]] bool idle() const noexcept { return inbox_.blocked(); }
  /// Messages stored behind the one that is being handled. Loop's thread only.
  [[nodiscard]] std::size_t mailbox_size() noexcept;

  [[nodiscard]] loop_unit& unit() const noexcept { return *unit_; }
  [[nodiscard]] const std::shared_ptr<loop_unit>& shared_unit() const noexcept { return unit_; }
  [[nodiscard]] protocol::event_loop& loop() const noexcept { return unit_->loop(); }
  [[nodiscard]] caf::strong_actor_ptr self() { return caf::strong_actor_ptr{ctrl()}; }

 private:
  /// Makes this the unit's current actor. A roster that fans out runs connections within its own run.
  class run_scope {
   public:
    explicit run_scope(lean_actor& a) noexcept
        : actor_(a), outer_(std::exchange(a.unit_->current_, &a)) {
      actor_.running_ = true;
    }
    ~run_scope() {
      actor_.running_ = false;
      actor_.unit_->current_ = outer_;
    }
    run_scope(const run_scope&) = delete;
    run_scope& operator=(const run_scope&) = delete;

   private:
    lean_actor& actor_;
    lean_actor* outer_;
  };

  struct inbox_policy {
    using mapped_type = caf::mailbox_element;
    using unique_pointer = caf::mailbox_element_ptr;
  };
  using node = caf::intrusive::singly_linked<caf::mailbox_element>;

  template <class Body>
  void guarded(Body&& body) {
    try {
      body();
    } catch (...) {
      crashed(std::current_exception());
    }
  }
  void crashed(const std::exception_ptr&);
  void run_later();
  void fetch() noexcept;
  [[nodiscard]] caf::mailbox_element_ptr take() noexcept;
  void handle(caf::mailbox_element&);
  [[nodiscard]] bool handle_system(caf::mailbox_element&);

  std::shared_ptr<loop_unit> unit_;
  caf::intrusive::lifo_inbox<inbox_policy>
      inbox_;     // newest first; `blocked` while the actor waits, `closed` once it ended
  node waiting_;  // out of the inbox and not handled yet, oldest first
  bool running_ = false;
  bool quitting_ = false;
};

}  // namespace fairlead::actors
