#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/environment.hpp"
#include "actors/lean_actor.hpp"
#include "actors/session_core.hpp"
#include "actors/session_messages.hpp"
#include "protocol/resume_tokens.hpp"
#include "protocol/session_machine.hpp"
#include "protocol/stream.hpp"

namespace fairlead::actors {

/// The owner of one session: its stream, its sockets, its behaviour. To its connections it is a companion: they tell it that
/// they opened, what they received and that they ended. Each of its sockets has a place in the stream and is sent what
/// is behind it as long as there is room in its queue; so a slow socket costs no more than the stream does.
class session_actor final : public lean_actor {
 public:
  session_actor(caf::actor_config&, std::shared_ptr<loop_unit>, environment&, loop_context&,
                session_ptr);

  const char* name() const override { return "session"; }
  void on_exit() override;

  /// Starts or cancels a timer, where it is this session's behaviour that asks, in a function of its own. Any thread.
  [[nodiscard]] bool set_now(const set_session_timer&);

 private:
  struct socket {
    core_ptr who;
    std::uint64_t next;          // the offset that it is sent next
    std::uint32_t token;         // that it holds
    bool lagging = false;        // `send_more` comes when its queue has room
    bool unwritten = false;      // sent to in this run, which is to be finished
    std::uint32_t handled = 0;   // weight of its messages to be reported as handled after this run
    std::uint32_t withheld = 0;  // of those in the inbox, which is full
  };
  struct waiter {  // for an acknowledgement
    std::uint64_t offset;
    protocol::time_point deadline;
    emit_receipt_ptr asked;
  };
  struct reader {  // of the inbox
    protocol::time_point deadline;
    read_inbox what;
  };
  /// A function of the behaviour's is running.
  struct behavior_scope {
    explicit behavior_scope(bool& inside) : inside_(inside), outer_(std::exchange(inside, true)) {}
    ~behavior_scope() { inside_ = outer_; }
    behavior_scope(const behavior_scope&) = delete;
    behavior_scope& operator=(const behavior_scope&) = delete;

   private:
    bool& inside_;
    const bool outer_;
  };
  struct named_timer {
    std::string name;
    protocol::time_point when;
  };

  caf::behavior& handlers() override;
  static caf::behavior make_handlers(loop_unit&);
  void after_run() override;
  void on_crash(std::string_view what) override;

  void on(const session_begin&);
  void on(const ask_to_attach&);
  void on(emit_event&);
  void on(const issue_token&);
  void on(const set_session_timer&);
  void set(const set_session_timer&);
  void on(send_more);
  void on(read_inbox&);
  void on(have_owner);
  void on(const watch_session&);
  void on(session_due);
  void on(const companion_opened&);
  void on(const companion_received&);
  void on(const companion_closed&);
  void end_at_shutdown();
  [[nodiscard]] session_snapshot snapshot();

  /// Steps the machine and carries out what it asks, in order.
  template <class Event>
  void apply(Event&&);
  void entered(session_state before);
  void carry_out(const protocol::sessions::let_in&);
  void carry_out(const protocol::sessions::turn_away&);
  void carry_out(const protocol::sessions::catch_up&);
  void carry_out(const protocol::sessions::append&);
  void carry_out(const protocol::sessions::refuse_emit&);
  void carry_out(const protocol::sessions::restart&);
  void carry_out(const protocol::sessions::report_ended&);

  [[nodiscard]] socket* find(connection_id);
  [[nodiscard]] socket* holder_of(const std::string& token);
  void turn_away(const core_ptr&, close_code, std::string reason, attach_outcome);
  void dismiss(core_ptr, const close_info&);
  void let_go(connection_id, const close_info&);
  void send_last(const emit_receipt_ptr&);
  void pump(socket&);
  void falls_behind(socket&);
  [[nodiscard]] bool send_one(socket&, protocol::receipt);
  [[nodiscard]] bool send_rest(socket&);
  [[nodiscard]] bool greet(socket&, bool recovered, const std::string& token);
  [[nodiscard]] bool offer(socket&, const message&, protocol::receipt);
  /// What came of a frame that was offered: false if there was no room for it.
  [[nodiscard]] static bool taken(socket&, detail::connection_core::offered);
  [[nodiscard]] const message* next_for(const socket&) const;
  [[nodiscard]] bool hopeless(const socket&) const;
  [[nodiscard]] close_info too_slow();
  [[nodiscard]] close_info too_large();
  void drop_hopeless();
  [[nodiscard]] std::uint64_t keep(const emit_event&, protocol::time_point now);
  void trim_stream();
  void count_kept();
  void wait_for_ack(waiter);
  void acked(std::uint64_t offset);
  void into_inbox(socket&, const message&);
  [[nodiscard]] bool inbox_full() const;
  [[nodiscard]] bool inbox_overflows() const;
  void answer_readers();
  void answer(const read_inbox&);
  void make_behavior();
  void greet_sockets();
  template <class Function>
  void guarded(const char* where, Function&&);
  void behavior_failed(const char* where, std::string_view what);
  void set_alarm();
  void record(const char* name, std::uint64_t detail = 0);
  [[nodiscard]] std::uint64_t offset_of(const std::string& key) const;
  [[nodiscard]] session handle() const { return session{core_}; }
  [[nodiscard]] const session_options& options() const noexcept { return *core_->options; }
  [[nodiscard]] session_counts& counts() const noexcept { return core_->type->counts; }

  environment& env_;
  loop_context& here_;
  session_ptr core_;
  protocol::sessions::state state_;
  protocol::stream stream_;
  std::size_t counted_ = 0;  // of its bytes, in the environment's tally
  protocol::resume_tokens tokens_;
  std::unique_ptr<session_behavior> behavior_;
  std::vector<socket> sockets_;
  std::vector<waiter> waiters_;  // by offset
  std::unique_ptr<protocol::stream> inbox_;
  std::vector<reader> readers_;
  std::vector<named_timer> timers_;
  std::vector<std::pair<std::string, std::uint64_t>> keys_;  // of the last keyed emits, a ring
  std::vector<watch_sink_ptr> watchers_;
  protocol::timer alarm_;
  protocol::time_point alarm_at_ = protocol::time_point::max();
  const protocol::time_point began_;
  protocol::time_point entered_at_;
  const protocol::wall_time began_wall_;
  std::uint64_t acked_ = 0, replayed_ = 0, received_ = 0, resumes_ = 0;
  std::vector<session_snapshot::event> events_;  // a ring of 16
  std::uint32_t next_key_ = 0, next_event_ = 0;  // in the rings
  std::uint32_t restarts_ = 0;
  bool has_owner_ = false;
  bool in_behavior_ = false;  // a function of its behaviour is running, or the one that makes it
  bool restarting_ = false;   // its behaviour is being made again ...
  bool once_more_ = false;    // ... and has failed already

  // What the effects of the event that is being handled are about.
  const core_ptr* attaching_ = nullptr;
  emit_event* emitting_ = nullptr;
};

template <class Event>
void session_actor::apply(Event&& happened) {
  // One vector for all sessions of the loop: a step allocates nothing once its capacity is there.
  auto out = std::exchange(here_.session_effects, {});
  const auto before = protocol::sessions::kind_of(state_);
  protocol::sessions::step(state_, std::forward<Event>(happened), options(), loop().now(), out);
  if (protocol::sessions::kind_of(state_) != before) entered(before);
  for (const auto& e : out) std::visit([this](const auto& what) { this->carry_out(what); }, e);
  out.clear();
  here_.session_effects = std::move(out);
}

template <class Function>
void session_actor::guarded(const char* where, Function&& function) {
  if (!behavior_) return;
  try {
    const behavior_scope inside{in_behavior_};
    function();
  } catch (const std::exception& e) {
    behavior_failed(where, e.what());
  } catch (...) {
    behavior_failed(where, "not a std::exception");
  }
}

}  // namespace fairlead::actors
