#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
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
  /// Does what it waited to do, frees its slot and calls its handler. Nothing, if the socket is not ready after all.
  virtual void run() = 0;
  /// Frees its slot and has its handler called, later, with operation_aborted.
  virtual void abort() = 0;
};

/// Room for one waiting operation, of up to `Size` bytes without a block of its own: there are as many as connections.
template <std::size_t Size>
class ready_slot {
 public:
  ready_slot() = default;
  ~ready_slot() { clear(); }
  ready_slot(const ready_slot&) = delete;
  ready_slot& operator=(const ready_slot&) = delete;

  template <class Op, class... Arguments>
  Op& emplace(Arguments&&... arguments) {
    Op* op = nullptr;
    if constexpr (sizeof(Op) <= Size)
      op = ::new (&room_) Op(std::forward<Arguments>(arguments)...);
    else
      op = new Op(std::forward<Arguments>(arguments)...);
    op_ = op;
    return *op;
  }
  void clear() noexcept {
    if (ready_op* const op = std::exchange(op_, nullptr)) is_here(op) ? op->~ready_op() : delete op;
  }
  [[nodiscard]] ready_op* get() const noexcept { return op_; }

 private:
  struct nothing {};
  struct alignas(std::max_align_t) room {
    std::array<std::byte, Size> bytes;
  };
  [[nodiscard]] bool is_here(const void* op) const noexcept { return op == &room_; }

  ready_op* op_ = nullptr;
  [[no_unique_address]] std::conditional_t<Size == 0, nothing, room> room_;
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
  ready_slot<200> reader;
  void wait_readable();
  ready_slot<0> writer;  // most sockets never wait for room
  void wait_writable();

  /// Ends what waits, with operation_aborted.
  void abort_all();
  /// A read met would_block, or brought less than it asked for, after which the kernel has no more.
  void was_drained(bool would_block) noexcept { readable_ = !would_block && ending_; }
  /// What lies on the socket has more to read, though the kernel may have none.
  void expect_more() noexcept { readable_ = true; }
  /// What lies on the socket has to write before it can read on.
  void read_when_writable();

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
