#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace fairlead::protocol {

/// How many bytes the queues of one loop hold, in all and by size of queue, for a budget over all loops. A queue of size
/// class c holds less than 2^c bytes and at least half of that. Written on its loop's thread alone, read on any.
class queue_tally {
 public:
  static constexpr unsigned classes = std::numeric_limits<std::size_t>::digits + 1;

  /// One queue held `before` bytes and now holds `after`.
  void change(std::size_t before, std::size_t after) noexcept {
    add(by_class_[class_of(before)], 0 - before);
    add(by_class_[class_of(after)], after);
    add(total_, after - before);
  }
  [[nodiscard]] std::size_t total() const noexcept {
    return total_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t in_class(unsigned c) const noexcept {
    return by_class_[c].load(std::memory_order_relaxed);
  }
  [[nodiscard]] static constexpr unsigned class_of(std::size_t bytes) noexcept {
    return static_cast<unsigned>(std::bit_width(bytes));
  }

 private:
  using count = std::atomic<std::size_t>;
  /// There is one writer: no read-modify-write. Subtraction is addition that wraps.
  static void add(count& to, std::size_t n) noexcept {
    to.store(to.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  count total_{0};
  std::array<count, classes> by_class_{};
};

/// The size from which on queues have to go so that at most `target` bytes are left: the longest first, to within a
/// factor of two. More than any queue holds if none has to. `tally_of` gives the tally of each element of `loops`.
template <class Loops, class TallyOf>
[[nodiscard]] std::size_t least_to_go(const Loops& loops, std::size_t target, TallyOf&& tally_of) {
  std::size_t left = 0, least = std::numeric_limits<std::size_t>::max();
  for (const auto& l : loops) left += tally_of(l).total();
  for (unsigned c = queue_tally::classes; left > target && --c > 0;) {
    std::size_t in_class = 0;
    for (const auto& l : loops) in_class += tally_of(l).in_class(c);
    if (in_class == 0) continue;
    left -= in_class < left ? in_class : left;
    least = std::size_t{1} << (c - 1);
  }
  return least;
}

}  // namespace fairlead::protocol
