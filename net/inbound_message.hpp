#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace fairlead::net {

/// Where the payload of the message being read is gathered. A short one needs no memory of its own, and an idle
/// connection has nothing but the short one's place; the memory of a long one grows as its bytes come, however long its
/// frame header says that it will be.
class inbound_message {
 public:
  /// Where to read next. `hint` is how much is expected.
  [[nodiscard]] std::span<char> room(std::size_t hint) {
    if (!long_) return short_;
    long_->resize(size_ + std::min(hint, std::max(least_step, size_)));
    return std::span(*long_).subspan(size_);
  }

  /// So many bytes were read into `room`.
  void commit(std::size_t n, bool whole) {
    if (!long_ && !whole && n > 0) long_ = std::make_unique<std::string>(short_.data(), n);
    size_ += n;
  }

  [[nodiscard]] std::string_view view() const noexcept {
    return {long_ ? long_->data() : short_.data(), size_};
  }

  void clear() noexcept {
    size_ = 0;
    long_.reset();
  }

 private:
  static constexpr std::size_t least_step = 4096;
  std::array<char, 112> short_;
  std::unique_ptr<std::string> long_;
  std::size_t size_ = 0;
};

}  // namespace fairlead::net
