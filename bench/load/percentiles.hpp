#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fairlead::bench {

/// A log-linear histogram of durations in nanoseconds: constant memory, and less than 1 % of error at any magnitude,
/// so that recording tens of millions of deliveries costs the client almost nothing.
class percentiles {
 public:
  void record(std::uint64_t nanoseconds) noexcept {
    ++counts_[bucket(nanoseconds)];
    ++total_;
    if (nanoseconds > largest_) largest_ = nanoseconds;
  }

  void clear() noexcept { *this = {}; }

  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
  [[nodiscard]] std::uint64_t largest() const noexcept { return largest_; }

  /// The value that `fraction` (0 to 1) of the recordings do not exceed; 0 when there are none.
  [[nodiscard]] std::uint64_t at(double fraction) const noexcept;

 private:
  static constexpr unsigned linear_bits = 7;
  static constexpr std::size_t per_octave = std::size_t{1} << linear_bits;
  static constexpr std::size_t octaves = 64 - linear_bits;

  static std::size_t bucket(std::uint64_t value) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    if (width <= linear_bits) return static_cast<std::size_t>(value);
    const unsigned shift = width - linear_bits - 1;
    return (static_cast<std::size_t>(shift) << linear_bits) +
           static_cast<std::size_t>(value >> shift);
  }

  static std::uint64_t upper_bound(std::size_t bucket) noexcept;

  std::array<std::uint64_t, per_octave*(octaves + 1)> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t largest_ = 0;
};

}  // namespace fairlead::bench
