#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <fairlead/connection.hpp>
#include <fairlead/limits.hpp>

#include "actors/caf.hpp"
#include "actors/receipts.hpp"
#include "protocol/account.hpp"
#include "protocol/admission_ticket.hpp"
#include "protocol/chunk.hpp"
#include "protocol/defect.hpp"
#include "protocol/limit_hit.hpp"
#include "protocol/session_frames.hpp"

namespace fairlead::detail {

/// What every handle to one connection shares with its actor. Any thread; outlives actor and server.
class connection_core : public std::enable_shared_from_this<connection_core> {
 public:
  connection_core(connection_id id, std::string peer, std::string user, std::string target,
                  const limits&, std::shared_ptr<protocol::limit_hits>,
                  std::shared_ptr<actors::unmet_sends>);

  const connection_id id;
  const std::string peer;
  const std::string user;
  const std::string target;

  /// Counts the chunk on the account and puts it into the actor's mailbox, or settles its receipt as refused.
  void send(protocol::chunk) const;
  /// What came of a session's frame. `no_room`: nothing has happened, and the session keeps it. `in_run`: it has passed the
  /// mailbox, and the actor's `finish_run` is due at the end of the session's run, so that all that the session sends in one
  /// run is written at once.
  enum class offered : std::uint8_t { no_room, queued, in_run };
  /// From its session, to which no policy applies: a refusal is never a gap.
  [[nodiscard]] offered offer(protocol::chunk) const;
  /// The first of these. Before it nothing is let in.
  [[nodiscard]] offered greet(protocol::chunk) const;
  /// The largest frame that it takes at all.
  [[nodiscard]] std::size_t max_frame() const noexcept { return max_frame_; }
  /// For a frame of this size, at this moment.
  [[nodiscard]] bool has_room_for(std::size_t bytes) const noexcept {
    return !queued_.sealed() && queued_.messages() < max_messages_ &&
           queued_.bytes() + bytes <= max_bytes_;
  }
  /// What these options ask of the queue, from now on; null if nothing.
  [[nodiscard]] protocol::terms_ptr terms_for(const send_options&) const;
  /// For who puts one shared message into many mailboxes: counts it, if there is room for all of it.
  [[nodiscard]] bool try_admit(std::uint32_t frames, std::size_t bytes) const noexcept {
    return takes_from_all() && count(frames, bytes);
  }
  void close(close_code, std::string reason, initiator, actors::close_sink_ptr asked) const;

  /// The actor's side. `actor` is set once, before any handle exists.
  void settled(std::uint32_t messages, std::size_t bytes) const noexcept {
    queued_.release(messages, bytes);
  }
  /// Half of the queue is free again: an overflow is over.
  [[nodiscard]] bool calm() const noexcept {
    return queued_.messages() <= max_messages_ / 2 && queued_.bytes() <= max_bytes_ / 2;
  }
  /// The next overflow is a new one, and tells the actor.
  void overflow_over() const noexcept { told_.fetch_and(told_close, std::memory_order_relaxed); }
  /// It is to be closed for its slowness: nothing more is let in, so that what it gets has no gap.
  void seal() const noexcept { queued_.seal(); }
  /// What was let in before is still accounted for; nothing is any more, so that `send` needs no look of its own.
  void ended_as(send_result r) const noexcept {
    ended_.store(r, std::memory_order_release);
    queued_.seal();
  }
  /// `closed` or `failed` once the actor has ended, `written` before.
  [[nodiscard]] send_result ended() const noexcept {
    return ended_.load(std::memory_order_acquire);
  }
  /// Whether that is why an `offer` found no room.
  [[nodiscard]] bool gone() const noexcept {
    return queued_.sealed() && ended() != send_result::written;
  }
  [[nodiscard]] const protocol::account& queued() const noexcept { return queued_; }
  /// Refusals at enqueue, which the actor never sees.
  [[nodiscard]] std::uint64_t overflows() const noexcept {
    return overflows_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t too_large() const noexcept {
    return too_large_.load(std::memory_order_relaxed);
  }
  /// Sends that came behind an overflow that closes.
  [[nodiscard]] std::uint64_t too_late() const noexcept {
    return too_late_.load(std::memory_order_relaxed);
  }

  /// Sends to a session's connection that came before its session's first.
  [[nodiscard]] std::uint64_t too_early() const noexcept {
    return too_early_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] slow_policy policy() const noexcept { return policy_; }

  caf::strong_actor_ptr actor;
  /// Set at once, before it is shared: it is a session's, and what it asked of that one when it came, for whoever has it now:
  /// its roster, then its session.
  bool of_session = false;
  mutable std::unique_ptr<const protocol::attach_request> attach;
  /// Set at once, too; null: there is nothing in it.
  std::unique_ptr<const protocol::admission_ticket> ticket;

 private:
  // What the actor has been told, in `told_`.
  static constexpr std::uint8_t told_overflow = 1, told_close = 2;

  /// A session's connection is told where it stands before it gets anything else.
  [[nodiscard]] bool takes_from_all() const noexcept {
    return !of_session || greeted_.load(std::memory_order_acquire) ||
           protocol::planted(protocol::defect::early_words);
  }
  [[nodiscard]] bool count(std::uint32_t frames, std::size_t bytes) const noexcept {
    const auto times = protocol::planted(protocol::defect::unbounded_queue) ? 8U : 1U;
    const auto most =
        protocol::planted(protocol::defect::crowded_queue) ? UINT32_MAX : times * max_messages_;
    return queued_.try_add(frames, bytes, most, times * max_bytes_);
  }
  [[nodiscard]] bool let_in(const protocol::chunk&) const;
  void enqueue(protocol::chunk&&) const;
  [[nodiscard]] send_result why_not(const protocol::chunk&) const;
  send_result met_nobody(const protocol::chunk&, send_result) const;
  void overflow(std::uint32_t frames, bool close) const;
  send_result over_size(std::size_t bytes) const;

  const std::size_t max_frame_;
  const std::size_t max_bytes_;
  const std::uint32_t max_messages_;
  const slow_policy policy_;
  mutable std::atomic<send_result> ended_{
      send_result::written};  // `written`: not yet; then what a send meets
  mutable std::atomic<std::uint8_t> told_{0};
  mutable std::atomic<std::uint64_t> overflows_{0};
  mutable std::atomic<std::uint32_t> too_large_{0}, too_late_{0}, too_early_{0};
  mutable std::atomic<bool> greeted_{false};  // a session's, by its session
  const std::shared_ptr<protocol::limit_hits> hits_;
  const std::shared_ptr<actors::unmet_sends> unmet_;
  mutable protocol::account queued_;
};

}  // namespace fairlead::detail
