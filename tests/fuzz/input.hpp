#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

/// What the fuzz targets have in common. A target is one source file with this function in it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fairlead::fuzz {

/// The bytes of one run, from which a target takes its decisions one after the other. After the last one all are 0.
class input {
 public:
  input(const std::uint8_t* data, std::size_t size)
      : left_(reinterpret_cast<const char*>(data), size) {}

  [[nodiscard]] bool empty() const noexcept { return left_.empty(); }
  std::uint8_t byte() noexcept {
    if (left_.empty()) return 0;
    const auto next = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return next;
  }
  /// 0 to n - 1. One byte decides up to 256, two decide more.
  std::size_t up_to(std::size_t n) noexcept {
    const std::size_t low = byte();
    return (n <= 256 ? low : low + 256 * std::size_t{byte()}) % n;
  }
  bool flag() noexcept { return (byte() & 1U) != 0; }
  /// As many bytes, if there are.
  std::string_view text(std::size_t n) noexcept {
    const auto taken = left_.substr(0, std::min(n, left_.size()));
    left_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() noexcept { return text(left_.size()); }

 private:
  std::string_view left_;
};

/// One of several things that a target tries: the first byte says which, the rest is its input.
using kind = void (*)(input&);
template <std::size_t N>
int run_one_of(const std::array<kind, N>& kinds, input in) {
  const auto which = in.up_to(N);
  kinds[which](in);
  return 0;
}

/// What must hold whatever the input is. If it does not, this run is a find: libFuzzer keeps its input.
inline void promise(bool kept, std::string_view what) {
  if (kept) return;
  std::fprintf(stderr, "BROKEN PROMISE: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace fairlead::fuzz
