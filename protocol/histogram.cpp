#include "protocol/histogram.hpp"

#include <algorithm>
#include <numeric>

namespace fairlead::protocol {

void histogram::add(duration took) noexcept {
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), took) - bounds.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += took;
}

histogram& histogram::operator+=(const histogram& other) noexcept {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  sum_ += other.sum_;
  return *this;
}

std::uint64_t histogram::count() const noexcept {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

}  // namespace fairlead::protocol
