#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bench/load/client.hpp"

namespace fairlead::bench {

/// A masked text frame, built once, whose payload starts and ends with a stamp: a 64-bit number as 16 letters, so that
/// the payload is valid UTF-8. Giving it another number costs 32 stores, whatever the size of the payload.
class stamped_frame {
 public:
  static constexpr std::size_t stamp_size = 16;

  /// `payload_size` is at least `stamp_size`. Below twice that there is no stamp at the end.
  explicit stamped_frame(std::size_t payload_size);

  /// The frame's bytes with this stamp; valid until the next call.
  std::string_view with(std::uint64_t stamp);

  /// The stamp of a received payload; nothing when its size, its letters or its two ends disagree.
  static std::optional<std::uint64_t> read(std::string_view payload, std::size_t expected_size);

 private:
  void write(std::size_t at, std::uint64_t stamp);

  std::string bytes_;
  std::size_t payload_at_ = 0;
};

}  // namespace fairlead::bench
