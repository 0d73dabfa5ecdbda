#include "protocol/account.hpp"

#include <algorithm>
#include <cassert>

namespace fairlead::protocol {
namespace {

constexpr unsigned byte_bits = 40;
constexpr std::uint64_t byte_mask = (std::uint64_t{1} << byte_bits) - 1;

// Above both counts, so that a sealed account is past every limit.
constexpr std::uint64_t seal_bit = std::uint64_t{1} << 63;

// Half of what each field holds: a sum of two that are within a limit does not flow over.
constexpr std::uint32_t most_messages = 1u << 22;
constexpr std::uint64_t most_bytes = std::uint64_t{1} << 39;

constexpr std::uint64_t pack(std::uint32_t messages, std::uint64_t bytes) noexcept {
  return (std::uint64_t{messages} << byte_bits) + bytes;
}
constexpr std::uint64_t messages_in(std::uint64_t packed) noexcept { return packed >> byte_bits; }
constexpr std::uint64_t bytes_in(std::uint64_t packed) noexcept { return packed & byte_mask; }

}  // namespace

// Relaxed, but for the seal: these are counts; what they count is handed over by the mailbox, which orders. Who finds a seal
// sees what was written before it was put on.

bool account::try_add(std::uint32_t messages, std::size_t bytes, std::uint32_t max_messages,
                      std::size_t max_bytes) noexcept {
  max_messages = std::min(max_messages, most_messages);
  max_bytes = std::min<std::size_t>(max_bytes, most_bytes);
  if (messages > max_messages || bytes > max_bytes) return false;

  const std::uint64_t added = pack(messages, bytes);
  auto before = packed_.load(std::memory_order_relaxed);
  do {
    const auto total = before + added;
    if (messages_in(total) > max_messages || bytes_in(total) > max_bytes) return false;
  } while (!packed_.compare_exchange_weak(before, before + added, std::memory_order_relaxed));
  return true;
}

void account::release(std::uint32_t messages, std::size_t bytes) noexcept {
  const std::uint64_t before = packed_.fetch_sub(pack(messages, bytes), std::memory_order_relaxed);
  assert(messages_in(before) >= messages && bytes_in(before) >= bytes);
  static_cast<void>(before);
}

void account::seal() noexcept { packed_.fetch_or(seal_bit, std::memory_order_release); }

bool account::sealed() const noexcept {
  return (packed_.load(std::memory_order_acquire) & seal_bit) != 0;
}

std::uint32_t account::messages() const noexcept {
  return static_cast<std::uint32_t>(
      messages_in(packed_.load(std::memory_order_relaxed) & ~seal_bit));
}

std::size_t account::bytes() const noexcept {
  return bytes_in(packed_.load(std::memory_order_relaxed));
}

}  // namespace fairlead::protocol
