#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fairlead/caf/messages.hpp>

#include "actors/connection_core.hpp"
#include "actors/environment.hpp"
#include "actors/lean_actor.hpp"
#include "actors/messages.hpp"
#include "protocol/machine.hpp"
#include "protocol/ports.hpp"
#include "protocol/snapshot.hpp"

namespace fairlead::actors {

/// The owner of one connection. Sends, closes, inbound messages, link reports and timers reach it one at a time through
/// its mailbox; it feeds them to the state machine and carries out the effects. It ends when the connection has ended.
class connection_actor final : public lean_actor {
 public:
  /// `at_first`: the environment's limits, which bound its queue to the end.
  connection_actor(caf::actor_config&, std::shared_ptr<loop_unit>, environment&, loop_context&,
                   const limits& at_first, core_ptr, std::shared_ptr<protocol::link>);
  ~connection_actor() override;

  /// The hot path's two messages, for who is on this loop's thread and outside this actor's run: handled at once if the
  /// mailbox is empty, stored behind what is in it if not. (What a mailbox costs: docs/adr/0011.)
  void pass(const send_frames&, const caf::message& the_same);
  void pass(link_message&&);
  /// For a send from within a run that `pass` began, such as a reply from on_message: it goes on the end of that run,
  /// if nothing is in the mailbox before it. False, and nothing was taken, otherwise. Any thread.
  [[nodiscard]] bool append_to_run(protocol::chunk&);
  /// For its session, within a run of its own: as `pass`, if this is the session's loop, but that nothing is written before
  /// `finish_run`. False, and nothing was taken, otherwise. Any thread.
  [[nodiscard]] bool take_now(protocol::chunk&);
  using lean_actor::finish_run;
  /// Its loop's clock. Any thread.
  [[nodiscard]] protocol::time_point read_clock() const noexcept { return loop().read_clock(); }

  /// What has passed over it, with what was refused at enqueue, which this actor never saw. Loop's thread only, as long
  /// as the core is there, which is the actor's own.
  [[nodiscard]] protocol::traffic counts_with(const detail::connection_core&) const;
  /// For its roster, outside this actor's run: what of its queue counts against the budget ...
  [[nodiscard]] std::size_t held() const noexcept { return held_ == gives_up ? 0 : held_; }
  /// ... and that this is to go: not counted from now on, dropped when the actor has its turn.
  void shed();

  using lean_actor::mailbox_size;

  const char* name() const override { return "connection"; }
  void on_exit() override;

 private:
  caf::behavior& handlers() override;
  void after_run() override;
  void on_down(const caf::down_msg&) override;
  void on_crash(std::string_view what) override;

  static caf::behavior make_handlers(loop_unit&);
  // Messages with more to them than an event for the machine.
  void on(const send_frames&);
  void on(link_report&);
  void on(abort_now);
  caf::result<send_result> on(const send_message&);
  caf::result<close_result> on(close_connection&);
  void on(begin_close&);
  void on(const admitted&);
  void on(handled);
  void on(tell_of_room);
  void tell_session();
  void on(link_message&);
  void on(read_on);
  void on(overflowed);
  void on(expiry_due);
  void on(drop_queue);
  void on(oversized);
  void took(protocol::progress);
  void took_back(protocol::progress, send_result, protocol::limit_hit);
  void expires(protocol::time_point);
  void hold(std::size_t bytes);
  void close_slow(std::string reason);
  void await_expiry();
  [[nodiscard]] protocol::connection_snapshot snapshot();
  [[nodiscard]] protocol::traffic counts() const { return counts_with(*core_); }

  void note_attempt(close_code, const std::string& reason, initiator, close_result);
  /// Asks the machine to close; `asked` gets the answer.
  void ask_close(close_code, std::string reason, initiator, close_sink_ptr asked = {});
  [[nodiscard]] bool transport_ends() const;
  void note_overflow();
  void end_overflow();

  /// Steps the machine and carries out what it asks, in order; a handler that throws adds a close.
  template <class Event>
  void apply(Event&&);
  /// What bounds the machine in this event: the queue's limits are as they were when it began, times are as they are now.
  template <class Event>
  [[nodiscard]] const limits& bounds_in() const noexcept {
    if constexpr (protocol::any_of<std::remove_cvref_t<Event>, protocol::send,
                                   protocol::send_again>)
      return at_first_;
    else
      return env_.limits();
  }
  void entered(protocol::connection_state before);
  void count_transition(protocol::connection_state before);
  void await_end_of_close();
  [[nodiscard]] bool waits_on(std::size_t& undelivered);
  void carry_out(protocol::announce_open&);
  void carry_out(protocol::write&);
  void carry_out(protocol::make_room&);
  void carry_out(protocol::send_close&);
  void carry_out(protocol::abort_link&);
  void carry_out(protocol::deliver&);
  void carry_out(protocol::discard&);
  void carry_out(protocol::refuse&);
  void carry_out(protocol::answer_close&);
  void carry_out(protocol::report_closed&);

  /// Runs the embedder's code; what it throws closes this connection with 1011.
  template <class Function>
  void guarded(const char* where, Function&&);
  void handler_threw(const char* where, std::string_view what);
  void log_state(protocol::connection_state now);
  void log_refused_close(close_result);
  void refused(const protocol::chunk&, send_result);
  void note_refusal(const protocol::chunk&);
  void adopt(caf::strong_actor_ptr companion);
  void record(const char* event, std::uint64_t detail = 0);
  [[nodiscard]] std::chrono::milliseconds age() const;

  environment& env_;
  loop_context& here_;
  const limits& at_first_;
  core_ptr core_;
  std::shared_ptr<protocol::link> link_;
  protocol::state state_ = protocol::connecting{};
  protocol::progress
      on_wire_;  // handed to the link and neither written nor given back to the account
  static constexpr std::size_t gives_up = SIZE_MAX;
  std::size_t held_ = 0;  // of `on_wire_`, what the loop's tally has; or that it is dropped
  protocol::time_point began_, entered_at_;
  protocol::wall_time began_wall_;
  // Until it closes: for the end of its admission, if that has one. Then for the deadline.
  std::unique_ptr<protocol::timer> close_timer_;
  struct expiry {
    explicit expiry(std::function<void()> task) : timer(std::move(task)) {}
    protocol::timer timer;
    protocol::time_point at = protocol::time_point::max();
  };
  std::unique_ptr<expiry> expiry_;  // once something with a time to live was queued
  std::vector<caf::strong_actor_ptr> companions_;
  std::uint32_t unhandled_ = 0;  // weight of inbound messages that companions have not handled yet
  std::uint32_t wanted_room_ = 0;  // its session waits for so much; 0: it does not
  std::uint64_t wanted_when_ = 0;  // and is told when so many messages have left this queue
  bool paused_ = false;            // reading, for that reason
  bool waits_ = false;             // reading, for an inbound message that is in the mailbox
  bool to_flush_ = false;          // something was handed to the link in this run
  bool overflowing_ = false;  // sends were refused for want of room, and it has not eased since
  bool announced_ = false;    // handlers and companions were told of it: they hear of its end
  bool departed_ = false;     // the end has been reported
  close_sink_ptr answering_;  // the request to close that is being carried out
  protocol::traffic counts_;
  protocol::event_record events_;
  std::unique_ptr<protocol::close_attempt> last_close_;
};

/// The actor behind a core, for who is on its loop's thread. Valid while the core is.
[[nodiscard]] inline connection_actor& actor_of(const detail::connection_core& core) noexcept {
  return static_cast<connection_actor&>(*caf::actor_cast<caf::abstract_actor*>(core.actor));
}

template <class Event>
void connection_actor::apply(Event&& event) {
  auto& effects = here_.effects;
  const auto first = effects.size();  // more than 0 where a handler threw inside an effect
  struct clear {
    protocol::effects& all;
    std::size_t first;
    ~clear() { all.erase(all.begin() + static_cast<std::ptrdiff_t>(first), all.end()); }
  } const when_done{effects,
                    first};  // also if it throws: a chunk that is left behind is never settled
  const auto before = kind_of(state_);
  protocol::step(state_, std::forward<Event>(event), bounds_in<Event>(), loop().now(), effects);
  if (kind_of(state_) != before) entered(before);
  for (auto i = first; i < effects.size(); ++i) {
    auto effect = std::move(effects[i]);
    std::visit([this](auto& e) { this->carry_out(e); }, effect);
  }
}

}  // namespace fairlead::actors
