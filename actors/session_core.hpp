#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fairlead/session.hpp>

#include "actors/caf.hpp"
#include "protocol/account.hpp"
#include "protocol/chunk.hpp"
#include "protocol/live_limits.hpp"

namespace fairlead::actors {

/// What came of sockets that wanted to attach.
enum class attach_outcome : std::uint8_t {
  first,      ///< the session's first socket
  recovered,  ///< got all that it missed, or had missed nothing
  gap,        ///< was told that some of it is lost
  bad_token,
  wrong_user,
  full,
  ended,
};
inline constexpr std::size_t attach_outcome_count = 7;
[[nodiscard]] std::string_view to_string(attach_outcome) noexcept;

/// Counts of all sessions of one type, for the metrics. Any thread.
struct session_counts {
  using count = std::atomic<std::uint64_t>;
  std::array<std::atomic<std::int64_t>, session_state_count> by_state{};
  std::array<count, session_ender_count> ended{};
  std::array<count, attach_outcome_count> attaches{};
  std::array<count, emit_result_count>
      refused{};  // by why; those that were let in are in `emitted`
  count spawned{0}, emitted{0}, replayed{0}, received{0}, acks{0}, restarts{0};
};
inline void bump(std::atomic<std::uint64_t>& counter, std::uint64_t n = 1) noexcept {
  counter.fetch_add(n, std::memory_order_relaxed);
}

/// A type of session as it was registered. Lives as long as any of its sessions' handles.
struct registered_type {
  std::string name;
  session_type what;
  std::shared_ptr<const session_options> options;
  std::function<bool(std::string_view)> valid_json;
  std::shared_ptr<const protocol::live_limits> bounds;
  protocol::terms_ptr without_gaps;  // of events, whatever the server does with slow consumers
  protocol::receipt silent;          // with these terms, for events that nobody asks about
  mutable session_counts counts;
};

/// The answer to one emit: once, by whoever knows it first, or with what is known when nobody will know more. Shared by the
/// sockets that it was sent to, which may be on different threads.
class emit_receipt final : public protocol::receipt_sink {
 public:
  emit_receipt(emit_callback done, protocol::terms_ptr terms)
      : receipt_sink(std::move(terms)), done_(std::move(done)) {}
  ~emit_receipt() override { answer(unless_known_); }
  void settle(send_result r) noexcept override {
    if (r == send_result::written) came_to(emit_result::written);
  }
  /// The session's side, before anyone else has it: its place, and what it is if nothing better comes.
  void appended(std::uint64_t offset, emit_result unless_known, bool duplicate = false) noexcept {
    unless_known_ = {unless_known, offset, duplicate};
  }
  /// What became of what was appended.
  void came_to(emit_result r) noexcept {
    answer({r, unless_known_.offset, unless_known_.duplicate});
  }
  void answer(const emit_report&) noexcept;

 private:
  emit_callback done_;
  std::atomic<bool> answered_{false};
  emit_report unless_known_{emit_result::ended};
};
using emit_receipt_ptr = std::shared_ptr<emit_receipt>;

/// The answer to one request for a page of an inbox.
class inbox_sink {
 public:
  explicit inbox_sink(std::function<void(inbox_page)> done) : done_(std::move(done)) {}
  ~inbox_sink();  ///< its session has ended
  inbox_sink(const inbox_sink&) = delete;
  inbox_sink& operator=(const inbox_sink&) = delete;
  void answer(inbox_page) noexcept;

 private:
  std::function<void(inbox_page)> done_;
};
using inbox_sink_ptr = std::shared_ptr<inbox_sink>;

/// Who watches one session. Is told of its end when nobody holds it any more, at the latest.
class watch_sink {
 public:
  watch_sink(std::shared_ptr<const detail::session_core> who, session_watcher told)
      : who_(std::move(who)), told_(std::move(told)) {}
  ~watch_sink();
  watch_sink(const watch_sink&) = delete;
  watch_sink& operator=(const watch_sink&) = delete;
  void tell(session_state, const session_end& = {}) const noexcept;
  /// It will be told nothing more.
  void dismiss() noexcept { told_ = nullptr; }

 private:
  std::shared_ptr<const detail::session_core> who_;
  session_watcher told_;
};
using watch_sink_ptr = std::shared_ptr<watch_sink>;

}  // namespace fairlead::actors

namespace fairlead::detail {

/// What every handle to one session shares with its actor. Any thread; outlives actor and server.
class session_core {
 public:
  session_core(std::shared_ptr<const actors::registered_type>, spawn_options&&);

  const std::shared_ptr<const actors::registered_type> type;
  const std::string id, user, arguments;
  const std::vector<std::pair<std::string, std::string>> metadata;
  const std::shared_ptr<const session_options> options;  // its own or its type's

  /// How large an event may be now, with `event_overhead`, and the name of the option that says so.
  struct event_bound {
    std::size_t bytes;
    std::string_view option;
  };
  [[nodiscard]] event_bound largest_event() const;

  /// Puts an event into the actor's mailbox, or answers why not.
  void emit(std::string_view type, std::string data, emit_options, emit_callback done) const;
  /// Counts a request for a token or about a timer; false if as many as may wait do. Apart from emits: of these so many
  /// may wait as a matter of course, and then tokens and timers are needed all the same.
  [[nodiscard]] bool try_request(std::size_t bytes = 0) const noexcept {
    return requests_.try_add(1, bytes, most_requests, type->bounds->get().max_queued_bytes);
  }
  /// Whether one more watcher is for the actor to look at: those that it takes, and the first that is too many.
  [[nodiscard]] bool try_watch() const noexcept {
    return watches_.load(std::memory_order_relaxed) <= most_watchers &&
           ++watches_ <= most_watchers + 1;
  }
  /// Carries it out if it is the session's behaviour that asks, else puts it into the actor's mailbox; false if as many
  /// requests as may wait do.
  [[nodiscard]] bool request_timer(std::string name, std::chrono::milliseconds delay,
                                   bool cancel) const;
  /// From now on emits meet `ended`: the end is on its way.
  void begin_end() const noexcept { ending_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool is_ending() const noexcept { return ending_.load(std::memory_order_relaxed); }
  /// The end is not to wait for what is in the mailbox before it.
  void cut() const noexcept { cut_.store(true, std::memory_order_relaxed); }

  static constexpr std::uint32_t most_watchers = 8, most_requests = 256;

  /// The actor's side.
  void handled(std::size_t bytes) const noexcept { waiting_.release(1, bytes); }
  void behavior_gone() const noexcept { behavior_.fetch_add(1, std::memory_order_release); }
  void request_handled(std::size_t bytes = 0) const noexcept { requests_.release(1, bytes); }
  [[nodiscard]] bool is_cut() const noexcept { return cut_.load(std::memory_order_relaxed); }
  void entered(session_state s) const noexcept { state_.store(s, std::memory_order_release); }
  void ended(session_end why) const {
    why_ = std::move(why);
    entered(session_state::ended);
  }
  /// Which of its behaviours it has: those before have failed.
  [[nodiscard]] std::uint32_t behavior() const noexcept {
    return behavior_.load(std::memory_order_acquire);
  }
  [[nodiscard]] session_state state() const noexcept {
    return state_.load(std::memory_order_acquire);
  }
  [[nodiscard]] session_end why_ended() const {
    return state() == session_state::ended ? why_ : session_end{};
  }

  caf::strong_actor_ptr actor;  // set once, before any handle exists

 private:
  mutable protocol::account waiting_;   // emits that the actor has not handled
  mutable protocol::account requests_;  // for tokens and about timers, the same
  mutable std::atomic<std::uint32_t> watches_{0};
  mutable std::atomic<bool> ending_{false}, cut_{false};
  mutable std::atomic<session_state> state_{session_state::detached};
  mutable std::atomic<std::uint32_t> behavior_{0};
  mutable session_end why_;  // written before `state_` becomes `ended`
};

}  // namespace fairlead::detail
