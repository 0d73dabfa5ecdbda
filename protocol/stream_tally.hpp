#pragma once

#include <atomic>
#include <cstddef>

namespace fairlead::protocol {

/// How many bytes all streams of the process keep, for a budget over them (limits::max_total_stream_bytes). Whoever is to
/// append asks how much room the other streams leave, and afterwards tells what its own keeps. Any thread.
///
/// What is kept is counted exactly. The budget is not kept to exactly while several threads append at once, since each may
/// find the same room: all together are past it by one message for each other thread at most, until the next append
/// of any. In return a full stream, which gives up as much as it gets, writes nothing that the others read.
class stream_tally {
 public:
  /// How much a stream may keep, of which `own` bytes are counted here.
  [[nodiscard]] std::size_t room(std::size_t budget, std::size_t own) const noexcept {
    const auto others = total() - own;
    return others < budget ? budget - others : 0;
  }
  /// A stream kept `before` and keeps `after`.
  void change(std::size_t before, std::size_t after) noexcept {
    // Subtraction is addition that wraps.
    if (before != after) total_.fetch_add(after - before, std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t total() const noexcept {
    return total_.load(std::memory_order_relaxed);
  }

 private:
  alignas(64) std::atomic<std::size_t> total_{0};  // with nothing else on its cache line
};

}  // namespace fairlead::protocol
