#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include "net/asio.hpp"

namespace fairlead::net {

class poller;

/// What waits for a socket to become ready. Lies in a `ready_slot` and moves itself out of it when it completes.
class ready_op {
 public:
  virtual ~ready_op() = default;
  /// Does what it waited to do. False if the socket was not ready after all.
  virtual bool perform() = 0;
  /// Frees its slot, then calls its handler.
  virtual void complete() = 0;
  /// Frees its slot and has its handler called, later, with operation_aborted.
  virtual void abort() = 0;
};

/// Room for one waiting operation, kept when it completes, so that a connection that reads again and again allocates
/// once.
class ready_slot {
 public:
  ready_slot() = default;
  ~ready_slot() { clear(); }
  ready_slot(const ready_slot&) = delete;
  ready_slot& operator=(const ready_slot&) = delete;

  template <class Op, class... Arguments>
  Op& emplace(Arguments&&... arguments) {
    if (size_ < sizeof(Op)) {
      memory_ = std::make_unique_for_overwrite<std::byte[]>(sizeof(Op));
      size_ = sizeof(Op);
    }
    auto* const op = ::new (memory_.get()) Op(std::forward<Arguments>(arguments)...);
    op_ = op;
    return *op;
  }
  void clear() noexcept {
    if (op_) std::exchange(op_, nullptr)->~ready_op();
  }
  [[nodiscard]] ready_op* get() const noexcept { return op_; }

 private:
  std::unique_ptr<std::byte[]> memory_;
  std::uint32_t size_ = 0;
  ready_op* op_ = nullptr;
};

/// A descriptor in a poller: where the kernel's events for it end up. Stays where it is while its owner moves.
class watched {
 public:
  watched(poller& by, int descriptor) : poller_(by), descriptor_(descriptor) {}
  ~watched();
  watched(const watched&) = delete;
  watched& operator=(const watched&) = delete;

  [[nodiscard]] poller& home() const noexcept { return poller_; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

  /// The operation that waits, if there is one. Call the function below it when it is there.
  ready_slot reader;
  void wait_readable();
  ready_slot writer;
  void wait_writable();

  /// A read met would_block, or brought less than it asked for, after which the kernel has no more.
  void was_drained(bool would_block) noexcept { readable_ = !would_block && ending_; }

 private:
  friend class poller;
  void on_events(std::uint32_t);
  void run_reader();

  poller& poller_;
  const int descriptor_;
  bool readable_ = false;  // it may be worth while to read
  bool ending_ =
      false;  // the peer has finished or the socket broke: read to the end, no more events will come
  bool queued_ = false;
  bool closed_ = false;
};

/// The sockets of one loop in an epoll set of our own, which Asio watches as one descriptor.
///
/// Asio 1.81 tries each read before it waits, and so pays a second recv for every message, plus locks, queues and an
/// allocated operation. Here an event leads straight to one recv. Edge-triggered: after a read that brought less than
/// it asked for nothing is left (epoll(7)), unless the peer has finished too, which EPOLLRDHUP tells.
class poller {
 public:
  /// `begin_turn` is called before the events of a turn are handled.
  poller(asio::io_context&, std::function<void()> begin_turn);

  [[nodiscard]] asio::io_context::executor_type executor() noexcept { return set_.get_executor(); }
  /// Takes the descriptor; closes it, and throws, if it cannot be watched.
  [[nodiscard]] std::unique_ptr<watched> watch(int descriptor);
  /// Closes the descriptor at once. What waits for it is told operation_aborted later.
  void close(std::unique_ptr<watched>) noexcept;

 private:
  friend class watched;
  static constexpr std::size_t events_per_turn = 128;

  void enqueue(watched&);
  void wait();
  void on_events();
  void on_queued();
  template <class Each>
  void turn(std::size_t count, Each each);

  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> set_;
  const std::function<void()> begin_turn_;
  std::vector<watched*> queued_;                // may read at once
  std::vector<watched*> running_;               // those of this turn; kept for its capacity
  std::vector<std::unique_ptr<watched>> dead_;  // closed while events for them may be at hand
  bool in_turn_ = false;
};

}  // namespace fairlead::net
