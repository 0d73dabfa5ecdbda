#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace fairlead::actors {

/// 43 characters of the URL-safe alphabet, that nobody can guess: 258 bits of the operating system's or processor's source of
/// randomness. Any thread.
[[nodiscard]] inline std::string make_secret() {
  static constexpr char alphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::random_device source;
  std::string secret;
  while (secret.size() < 43)
    for (auto bits = static_cast<std::uint32_t>(source()), n = 0U; n < 5 && secret.size() < 43;
         ++n, bits >>= 6)
      secret += alphabet[bits & 63];
  return secret;
}

}  // namespace fairlead::actors
