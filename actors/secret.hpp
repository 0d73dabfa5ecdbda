#pragma once

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include <sys/random.h>

namespace fairlead::actors {

/// 43 characters of the URL-safe alphabet, that nobody can guess: 258 bits of the operating system's source of randomness.
/// Any thread. std::system_error if there is none.
[[nodiscard]] inline std::string make_secret() {
  static constexpr char alphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<unsigned char, 43> random{};
  // So few come all at once: getrandom(2).
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    throw std::system_error(errno, std::generic_category(), "getrandom");
  std::string secret;
  for (const auto byte : random) secret += alphabet[byte & 63];
  return secret;
}

}  // namespace fairlead::actors
