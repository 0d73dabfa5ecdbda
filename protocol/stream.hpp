#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fairlead/message.hpp>

#include "protocol/time.hpp"

namespace fairlead::protocol {

/// How much a stream keeps; what is over a bound goes, oldest first.
struct stream_limits {
  std::size_t messages;  ///< at least 1
  std::size_t bytes;     ///< of whole frames
  std::chrono::milliseconds age;
};

/// A bounded log of numbered messages, from 1 on without a gap. A number counts within an epoch: whoever remembers a
/// position of another epoch has missed something. No clock, no lock: time is an argument and only ever grows.
class stream {
 public:
  stream(std::string epoch, const stream_limits&);

  [[nodiscard]] const std::string& epoch() const noexcept { return epoch_; }
  /// Of the last message that was appended; 0: none yet.
  [[nodiscard]] std::uint64_t top() const noexcept { return top_; }
  /// Of the oldest one that is kept; `top() + 1` if none is.
  [[nodiscard]] std::uint64_t first() const noexcept { return top_ + 1 - size(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size() - gone_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// Gives it the number `top() + 1`. One that is larger than the stream may hold is numbered and not kept.
  std::uint64_t append(message, time_point now);
  /// Drops what has become too old.
  void trim(time_point now);
  /// Drops the oldest until at most so many bytes are kept; how many messages these were.
  std::size_t shrink(std::size_t bytes);
  /// Drops everything up to this number.
  void drop_until(std::uint64_t offset);
  /// When `trim` has something to do next; time_point::max() if nothing is kept.
  [[nodiscard]] time_point next_expiry() const noexcept;

  /// Null if it is not kept.
  [[nodiscard]] const message* at(std::uint64_t offset) const noexcept;
  /// Whether somebody who has everything up to `offset` of `epoch` (empty: of this one) can get all the rest.
  [[nodiscard]] bool can_recover(std::uint64_t offset,
                                 const std::string& epoch = {}) const noexcept;
  /// The size of the largest frame that is kept behind this number; 0: none is.
  [[nodiscard]] std::size_t largest_after(std::uint64_t offset) const noexcept;

 private:
  struct entry {
    message what;
    time_point at;
  };
  void drop_first();

  const std::string epoch_;
  const stream_limits limits_;
  // The first `gone_` are empty. A deque costs 600 bytes while it is empty, which most streams are.
  std::vector<entry> entries_;
  std::size_t gone_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t top_ = 0;
};

}  // namespace fairlead::protocol
