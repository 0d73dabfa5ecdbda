#include "protocol/stream.hpp"

#include <algorithm>

namespace fairlead::protocol {

stream::stream(std::string epoch, const stream_limits& limits)
    : epoch_(std::move(epoch)), limits_(limits) {}

std::uint64_t stream::append(message what, time_point now) {
  trim(now);
  const auto size = what.frame().size();
  while (this->size() > 0 && (this->size() >= limits_.messages || bytes_ + size > limits_.bytes))
    drop_first();
  if (size <= limits_.bytes) {
    entries_.push_back({std::move(what), now});
    bytes_ += size;
  }
  return ++top_;
}

void stream::trim(time_point now) {
  while (size() > 0 && now - entries_[gone_].at >= limits_.age) drop_first();
}

std::size_t stream::shrink(std::size_t bytes) {
  const auto before = size();
  while (bytes_ > bytes) drop_first();
  return before - size();
}

void stream::drop_until(std::uint64_t offset) {
  while (size() > 0 && first() <= offset) drop_first();
}

time_point stream::next_expiry() const noexcept {
  return size() > 0 ? entries_[gone_].at + limits_.age : time_point::max();
}

void stream::drop_first() {
  bytes_ -= entries_[gone_].what.frame().size();
  entries_[gone_].what = message{};
  ++gone_;
  // Moving the rest down costs each message one move in its life.
  if (gone_ * 2 < entries_.size()) return;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(gone_));
  gone_ = 0;
  if (entries_.empty()) entries_.shrink_to_fit();
}

const message* stream::at(std::uint64_t offset) const noexcept {
  if (offset < first() || offset > top_) return nullptr;
  return &entries_[gone_ + (offset - first())].what;
}

std::size_t stream::largest_after(std::uint64_t offset) const noexcept {
  std::size_t most = 0;
  for (auto n = top_; n > offset && n >= first(); --n) most = std::max(most, at(n)->frame().size());
  return most;
}

bool stream::can_recover(std::uint64_t offset, const std::string& epoch) const noexcept {
  return (epoch.empty() || epoch == epoch_) && offset <= top_ && offset + 1 >= first();
}

}  // namespace fairlead::protocol
