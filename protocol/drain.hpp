#pragma once

#include <chrono>
#include <cstddef>

#include <fairlead/drain.hpp>

/// The arithmetic of a drain. Pure.
namespace fairlead::protocol {

/// How long the closes of so many connections are spread, if `left` is what is left of the drain's time: the peers need
/// the other half of it to answer.
[[nodiscard]] std::chrono::milliseconds spread_of(const drain_options&, std::size_t connections,
                                                  std::chrono::milliseconds left) noexcept;

/// How many of `all` are to be closed once `elapsed` of `spread` has passed: none too early, all of them at the end.
[[nodiscard]] std::size_t due(std::size_t all, std::chrono::milliseconds elapsed,
                              std::chrono::milliseconds spread) noexcept;

}  // namespace fairlead::protocol
