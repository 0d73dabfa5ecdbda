#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fairlead::protocol {

/// Messages and bytes that were accepted for one queue and not yet settled, counted at enqueue by any thread. Mailbox and
/// outgoing queue together stay under the limits because nothing enters the mailbox that was not counted here.
class account {
 public:
  /// Counts if the result stays within both limits; false, and nothing was counted at any moment, if not: what is refused
  /// takes nobody else's room. Lock-free. Limits past 2^22 messages or 2^39 bytes count as these.
  [[nodiscard]] bool try_add(std::uint32_t messages, std::size_t bytes, std::uint32_t max_messages,
                             std::size_t max_bytes) noexcept;
  /// Gives back what an earlier `try_add` counted, in the same or other portions.
  void release(std::uint32_t messages, std::size_t bytes) noexcept;
  /// From now on nothing more is let in.
  void seal() noexcept;
  [[nodiscard]] bool sealed() const noexcept;
  [[nodiscard]] std::uint32_t messages() const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  std::atomic<std::uint64_t> packed_{0};  // a seal, 23 bits of messages, 40 of bytes
};

}  // namespace fairlead::protocol
