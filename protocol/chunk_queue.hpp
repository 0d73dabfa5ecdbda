#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "protocol/chunk.hpp"

namespace fairlead::protocol {

/// A queue of chunks for thousands of mostly empty wires: the first chunk lies inside, so that one at a time costs no
/// allocation; those behind it lie in a ring that is freed once the queue has run empty.
class chunk_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] const chunk& operator[](std::size_t i) const noexcept {
    assert(i < count_);
    return i == 0 ? first_ : rest_[slot(i - 1)];
  }

  /// Nothing has changed if it throws std::bad_alloc.
  void push_back(chunk&& what) {
    if (count_ == 0) {
      first_ = std::move(what);
    } else {
      if (count_ - 1 == capacity_) grow();
      rest_[slot(count_ - 1)] = std::move(what);
    }
    ++count_;
  }

  [[nodiscard]] chunk pop_front() noexcept {
    assert(count_ > 0);
    chunk popped = std::move(first_);
    if (--count_ > 0) {
      first_ = std::move(rest_[head_]);
      head_ = (head_ + 1) & (capacity_ - 1);
    } else if (capacity_ > 0) {
      rest_.reset();
      capacity_ = head_ = 0;
    }
    return popped;
  }

  enum class verdict : std::uint8_t { keep, take, stop };
  /// Asks `judge` of each chunk from place `from` on, front to back, until it says stop, and gives `taken` those that it
  /// takes. The others keep their order. Costs as much as was looked at, not as what lies behind.
  template <class Judge, class Taken>
  void take_if(std::size_t from, Judge&& judge, Taken&& taken) {
    std::size_t end = from, gone = 0;  // behind the last that was taken
    for (std::size_t i = from; i < count_; ++i) {
      const auto said = judge(std::as_const(at(i)));
      if (said == verdict::stop) break;
      if (said == verdict::keep) continue;
      taken(std::exchange(at(i), chunk{}));
      end = i + 1;
      ++gone;
    }
    if (gone == 0) return;
    // Those that stay move up to where the last one lay; what is left of the others is then in front.
    for (std::size_t to = end, i = end; i-- > 0;)
      if (at(i).storage && --to != i) at(to) = std::exchange(at(i), chunk{});
    for (; gone > 0; --gone) static_cast<void>(pop_front());
  }

 private:
  [[nodiscard]] chunk& at(std::size_t i) noexcept { return i == 0 ? first_ : rest_[slot(i - 1)]; }
  [[nodiscard]] std::size_t slot(std::size_t i) const noexcept {
    return (head_ + i) & (capacity_ - 1);
  }

  void grow() {
    const std::uint32_t capacity = capacity_ == 0 ? 4 : 2 * capacity_;
    auto bigger = std::make_unique<chunk[]>(capacity);
    for (std::uint32_t i = 0; i < capacity_; ++i) bigger[i] = std::move(rest_[slot(i)]);
    rest_ = std::move(bigger);
    capacity_ = capacity;
    head_ = 0;
  }

  chunk first_;
  std::unique_ptr<chunk[]> rest_;  // a ring; its capacity is a power of two
  std::uint32_t capacity_ = 0;
  std::uint32_t head_ = 0;
  std::uint32_t count_ = 0;  // with the first
};

}  // namespace fairlead::protocol
