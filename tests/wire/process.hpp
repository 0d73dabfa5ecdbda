#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

/// What this test process costs, and how long it may take.
namespace fairlead::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

/// So many rounds, or a quarter where a sanitizer makes each of them many times as long.
constexpr std::size_t rounds(std::size_t n) {
  return sanitized ? std::max<std::size_t>(1, n / 4) : n;
}

inline std::size_t open_descriptors() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

/// Room for so many descriptors, as far as this process may have them.
inline void allow_descriptors(std::size_t n) {
  rlimit now{};
  ::getrlimit(RLIMIT_NOFILE, &now);
  if (now.rlim_cur >= n) return;
  now.rlim_cur = std::min<rlim_t>(n, now.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &now);
}

/// Of this process, in bytes.
inline std::size_t resident_memory() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Another life at each run; FAIRLEAD_SEED plays one again, as far as threads can be told to.
inline std::uint32_t some_seed() {
  if (const char* given = std::getenv("FAIRLEAD_SEED"))
    return static_cast<std::uint32_t>(std::stoul(given));
  return std::random_device{}();
}

class dice {
 public:
  explicit dice(std::uint32_t seed) : random_(seed) {}
  std::size_t up_to(std::size_t n) { return random_() % n; }
  bool percent(std::size_t n) { return up_to(100) < n; }
  auto& engine() { return random_; }

 private:
  std::mt19937 random_;
};

}  // namespace fairlead::test
