#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace fairlead::protocol {

/// How long something took, counted in buckets. One thread.
class histogram {
 public:
  using duration = std::chrono::microseconds;
  /// The upper bounds, inclusive; what takes longer is in one more bucket.
  static constexpr std::array<duration, 12> bounds{
      std::chrono::milliseconds{1},   std::chrono::milliseconds{5},
      std::chrono::milliseconds{10},  std::chrono::milliseconds{25},
      std::chrono::milliseconds{50},  std::chrono::milliseconds{100},
      std::chrono::milliseconds{250}, std::chrono::milliseconds{500},
      std::chrono::seconds{1},        std::chrono::milliseconds{2500},
      std::chrono::seconds{5},        std::chrono::seconds{10}};

  void add(duration) noexcept;
  histogram& operator+=(const histogram&) noexcept;

  /// How many fell into bucket `i`, of `bounds.size() + 1`; not cumulative.
  [[nodiscard]] std::uint64_t count(std::size_t i) const noexcept { return counts_[i]; }
  [[nodiscard]] std::uint64_t count() const noexcept;
  [[nodiscard]] duration sum() const noexcept { return sum_; }

 private:
  std::array<std::uint64_t, bounds.size() + 1> counts_{};
  duration sum_{0};
};

}  // namespace fairlead::protocol
