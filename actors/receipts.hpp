#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include <fairlead/connection.hpp>
#include <fairlead/result.hpp>
#include <fairlead/server.hpp>

#include "protocol/account.hpp"
#include "protocol/chunk.hpp"
#include "protocol/machine.hpp"

/// How outcomes find their way back. Each of these answers exactly once by construction: when it is settled, or, if the
/// message that carried it was dropped with a dead actor's mailbox, when it is destroyed.
namespace fairlead::detail {
class connection_core;
}

namespace fairlead::actors {

/// Calls what an embedder gave us; what it throws stays here.
template <class Callback, class... Args>
void call_back(Callback& callback, Args&&... args) noexcept {
  if (!callback) return;
  try {
    std::exchange(callback, nullptr)(std::forward<Args>(args)...);
  } catch (...) {  // its owner was told not to; there is nobody to tell
  }
}

/// The receipt of one send to one connection. One owner at a time.
class send_receipt final : public protocol::receipt_sink {
 public:
  explicit send_receipt(send_callback done, std::shared_ptr<const detail::connection_core> to = {},
                        protocol::terms_ptr terms = {})
      : receipt_sink(std::move(terms)), done_(std::move(done)), to_(std::move(to)) {}
  ~send_receipt()
      override;  // a dead actor's mailbox: `closed` or `failed`, as the connection ended
  void settle(send_result r) noexcept override { call_back(done_, r); }
  /// The connection that an id led to.
  void addressed_to(std::shared_ptr<const detail::connection_core> to) noexcept {
    to_ = std::move(to);
  }

 private:
  send_callback done_;
  std::shared_ptr<const detail::connection_core> to_;
};
using receipt_ptr = std::shared_ptr<send_receipt>;

/// For a broadcast whose terms matter and whose outcomes nobody asked for.
class silent_receipt final : public protocol::receipt_sink {
 public:
  using receipt_sink::receipt_sink;
  void settle(send_result) noexcept override {}
};

/// The answer to one request to close. A dead actor's mailbox means `already_closed`.
class close_sink {
 public:
  explicit close_sink(close_callback done) : done_(std::move(done)) {}
  ~close_sink() { settle(close_result::already_closed); }
  close_sink(const close_sink&) = delete;
  close_sink& operator=(const close_sink&) = delete;
  void settle(close_result r) noexcept { call_back(done_, r); }

 private:
  close_callback done_;
};
using close_sink_ptr = std::shared_ptr<close_sink>;

/// The summary of one broadcast: every roster adds its part, the last one to let go of it completes it.
class summary_sink {
 public:
  explicit summary_sink(broadcast_callback done, std::size_t refused_ids = 0)
      : done_(std::move(done)), most_ids_(refused_ids) {}
  virtual ~summary_sink() { call_back(done_, summary_); }
  summary_sink(const summary_sink&) = delete;
  summary_sink& operator=(const summary_sink&) = delete;
  void add(const broadcast_summary& part) {
    const std::lock_guard lock{mutex_};  // once per roster, and only for who asked
    summary_ += part;
    if (summary_.refused_ids.size() > most_ids_) summary_.refused_ids.resize(most_ids_);
  }
  /// How many of those who refuse it are to be named.
  [[nodiscard]] std::size_t most_ids() const noexcept { return most_ids_; }

 protected:
  broadcast_callback done_;
  const std::size_t most_ids_;
  broadcast_summary summary_;
  std::mutex mutex_;
};
using summary_ptr = std::shared_ptr<summary_sink>;

/// The same for a send to one user, who may have no connection.
class user_summary_sink final : public summary_sink {
 public:
  using summary_sink::summary_sink;
  ~user_summary_sink() override {
    if (summary_.addressed() == 0)
      summary_.add(lingers_ ? send_result::reconnecting : send_result::no_such_connection);
  }
  /// The user's own actor waits for another connection.
  void lingers() noexcept { lingers_ = true; }

 private:
  std::atomic<bool> lingers_{false};
};
using user_summary_ptr = std::shared_ptr<user_summary_sink>;

/// One roster's part of a summary: one loop's thread, settled once per connection that it addresses.
class roster_tally final : public protocol::receipt_sink {
 public:
  roster_tally(summary_ptr whole, protocol::terms_ptr terms)
      : receipt_sink(std::move(terms)), whole_(std::move(whole)) {}
  ~roster_tally() override {
    // What an actor's death swallowed was addressed all the same.
    if (const auto known = part_.addressed(); known < expected_)
      part_.add(send_result::closed, expected_ - known);
    whole_->add(part_);
  }
  void expect() noexcept { ++expected_; }
  void settle(send_result r) noexcept override { part_.add(r); }
  void settle(connection_id whose, send_result r) noexcept {
    part_.add(r);
    if (r == send_result::written || part_.refused_ids.size() >= whole_->most_ids()) return;
    try {
      part_.refused_ids.push_back({whose, r});
    } catch (const std::bad_alloc&) {  // it is counted, which is what must not fail
    }
  }

 private:
  summary_ptr whole_;
  broadcast_summary part_;
  std::uint64_t expected_ = 0;
};

/// One connection's part of a tally that names who refused.
class named_receipt final : public protocol::receipt_sink {
 public:
  named_receipt(std::shared_ptr<roster_tally> part, connection_id whose, protocol::terms_ptr terms)
      : receipt_sink(std::move(terms)), part_(std::move(part)), whose_(whose) {}
  ~named_receipt() override { settle(send_result::closed); }  // a dead actor's mailbox
  void settle(send_result r) noexcept override {
    if (const auto part = std::exchange(part_, nullptr)) part->settle(whose_, r);
  }

 private:
  std::shared_ptr<roster_tally> part_;
  connection_id whose_;
};

/// Counts the closes that a request to close a user started.
class close_count {
 public:
  explicit close_count(std::function<void(std::size_t)> done) : done_(std::move(done)) {}
  ~close_count() { call_back(done_, count_.load()); }
  close_count(const close_count&) = delete;
  close_count& operator=(const close_count&) = delete;
  void add() noexcept { ++count_; }

 private:
  std::function<void(std::size_t)> done_;
  std::atomic<std::size_t> count_{0};
};
using close_count_ptr = std::shared_ptr<close_count>;

/// What the stop of a backbone did, for who asks while it lasts and for who asks afterwards.
class stop_record {
 public:
  void set(const shutdown_summary& s) {
    const std::lock_guard lock{mutex_};
    summary_ = s;
  }
  [[nodiscard]] shutdown_summary read() const {
    const std::lock_guard lock{mutex_};
    return summary_;
  }

 private:
  mutable std::mutex mutex_;
  shutdown_summary summary_;
};

/// One request to stop: answered when the supervisor lets go of it, or at once if there is none any more.
class stop_sink {
 public:
  stop_sink(std::function<void(shutdown_summary)> done, std::shared_ptr<const stop_record> record)
      : done_(std::move(done)), record_(std::move(record)) {}
  ~stop_sink() { call_back(done_, record_->read()); }
  stop_sink(const stop_sink&) = delete;
  stop_sink& operator=(const stop_sink&) = delete;

 private:
  std::function<void(shutdown_summary)> done_;
  std::shared_ptr<const stop_record> record_;
};
using stop_sink_ptr = std::shared_ptr<const stop_sink>;

/// A broadcast's place under the bound on pending broadcasts; given back when the last roster has fanned it out.
class broadcast_permit {
 public:
  broadcast_permit(std::shared_ptr<protocol::account> counted, std::size_t bytes)
      : counted_(std::move(counted)), bytes_(bytes) {}
  ~broadcast_permit() { counted_->release(1, bytes_); }
  broadcast_permit(const broadcast_permit&) = delete;
  broadcast_permit& operator=(const broadcast_permit&) = delete;

 private:
  std::shared_ptr<protocol::account> counted_;
  std::size_t bytes_;
};
using permit_ptr = std::shared_ptr<const broadcast_permit>;

/// Sends that met nobody: to users of whom nobody was there, and to connections after their end. No actor counts these.
struct unmet_sends {
  explicit unmet_sends(std::shared_ptr<log> l) : logger(std::move(l)) {}
  std::atomic<std::uint64_t> no_such_connection{0}, reconnecting{0}, closed{0}, failed{0};
  const std::shared_ptr<log> logger;  // for who has no environment any more
};

/// The permit of a send to one user, who may have no connection: then it is counted as that when the last roster has looked.
class user_permit final : public broadcast_permit {
 public:
  user_permit(std::shared_ptr<protocol::account> counted, std::size_t bytes,
              std::shared_ptr<unmet_sends> unmet)
      : broadcast_permit(std::move(counted), bytes), unmet_(std::move(unmet)) {}
  ~user_permit() {
    if (!met_) ++(lingers_ ? unmet_->reconnecting : unmet_->no_such_connection);
  }
  void meets() const noexcept { met_ = true; }
  /// The user's own actor waits for another connection.
  void lingers() const noexcept { lingers_ = true; }

 private:
  const std::shared_ptr<unmet_sends> unmet_;
  mutable std::atomic<bool> met_{false}, lingers_{false};
};
using user_permit_ptr = std::shared_ptr<const user_permit>;

}  // namespace fairlead::actors
