#include "bench/load/percentiles.hpp"

#include <algorithm>
#include <cmath>

namespace fairlead::bench {

std::uint64_t percentiles::upper_bound(std::size_t bucket) noexcept {
  if (bucket < 2 * per_octave) return bucket;
  const auto shift = static_cast<unsigned>(bucket >> linear_bits) - 1;
  const std::uint64_t lead = bucket - (static_cast<std::size_t>(shift) << linear_bits);
  return ((lead + 1) << shift) - 1;
}

std::uint64_t percentiles::at(double fraction) const noexcept {
  if (total_ == 0) return 0;
  const auto rank = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(
             std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(total_))));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) return std::min(upper_bound(bucket), largest_);
  }
  return largest_;
}

}  // namespace fairlead::bench
