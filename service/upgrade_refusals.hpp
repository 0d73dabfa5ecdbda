#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fairlead::service {

/// Why an upgrade request that was well-formed did not become a connection, by the name under which it is counted. A new
/// one goes before `last_`, and has its name in upgrade_refusals.cpp.
enum class upgrade_refusal : std::uint8_t {
  path,             ///< there is no WebSocket there
  stopping,         ///< the server drains or shuts down
  origin,           ///< the page is not in the list
  attach,           ///< what it says of its session cannot be read
  token_missing,    ///< there is none
  token_ambiguous,  ///< there is more than one
  token_malformed,  ///< it is none, or too large
  token_algorithm,  ///< it is signed by another algorithm than the one that is accepted
  token_signature,  ///< it is not signed by the key
  token_expired,
  token_not_yet,     ///< before `nbf`
  token_audience,    ///< for somebody else
  token_issuer,      ///< by somebody else
  token_claims,      ///< a claim that is needed is missing or of the wrong kind
  hook,              ///< the hook said no
  hook_failed,       ///< it threw, did not answer, or gave too much metadata
  timeout,           ///< it did not decide in time
  too_many_pending,  ///< too many wait for its decision
  client_left,       ///< the client did not wait for it
  user_connections,  ///< this user has as many connections as it may
  last_,
};

inline constexpr std::size_t upgrade_refusal_count =
    static_cast<std::size_t>(upgrade_refusal::last_);

/// The name as metrics and logs have it: `"token_expired"`.
[[nodiscard]] std::string_view to_string(upgrade_refusal) noexcept;

/// How often each has happened since the server began. Any thread.
class upgrade_refusals {
 public:
  void add(upgrade_refusal why) noexcept {
    counts_[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t count(upgrade_refusal why) const noexcept {
    return counts_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, upgrade_refusal_count> counts_{};
};

}  // namespace fairlead::service
