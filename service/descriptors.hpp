#pragma once

#include <cstddef>

/// The descriptors that this process may have, and who gets them: clients must not take those by which the operator gets in.
namespace fairlead::service {

struct descriptor_share {
  std::size_t needed;   ///< the least limit under which clients may have `max_connections` sockets
  std::size_t clients;  ///< sockets that they may have: `max_connections`, or fewer
  std::size_t
      refusals;  ///< how many more may be open for a moment, to be told that there is no room
};

/// `limit`: of the process; `others`: what is open beside clients. What is left for the internal listener is 256 at least, or an
/// eighth of a limit under 2,048. Pure.
[[nodiscard]] descriptor_share share_descriptors(std::size_t limit, std::size_t others,
                                                 std::size_t max_connections) noexcept;

/// The (soft) limit of this process; as good as none if there is none.
[[nodiscard]] std::size_t descriptor_limit() noexcept;
/// How many it has open.
[[nodiscard]] std::size_t open_descriptors();

}  // namespace fairlead::service
