#include "service/descriptors.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <limits>
#include <system_error>

#include <sys/resource.h>

namespace fairlead::service {
namespace {

constexpr std::size_t most_refusals = 256;
constexpr std::size_t most_in_reserve = 2 * most_refusals;  // half of it for the internal listener
constexpr std::size_t without_proc = 64;

}  // namespace

descriptor_share share_descriptors(std::size_t limit, std::size_t others,
                                   std::size_t max_connections) noexcept {
  const auto reserve = std::min(most_in_reserve, limit / 4);
  const auto taken = others + reserve;
  const auto room = limit > taken ? limit - taken : 1;
  const auto wanted = others + max_connections;
  return {.needed = wanted + std::min(most_in_reserve, (wanted - 1) / 3),
          .clients = std::min(max_connections, room),
          .refusals = reserve / 2};
}

std::size_t descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return std::numeric_limits<std::size_t>::max();
  return limit.rlim_cur;
}

std::size_t open_descriptors() {
  std::error_code failed;
  const std::filesystem::directory_iterator all{"/proc/self/fd", failed};
  if (failed) return without_proc;
  return static_cast<std::size_t>(std::distance(all, {}));
}

}  // namespace fairlead::service
