#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/io/basp/header.hpp>

/// What of CAF's protocol between nodes (BASP) comes in from a peer. Read before CAF reads it: CAF 0.17 would take any message
/// for any actor that it has a name or number for, and what it deserialises can make it allocate, throw or recurse
/// without bound (docs/adr/0019).
namespace fairlead::actors {

/// What is the same for all connections.
struct firewall_rules {
  /// Messages that the actor of this id takes, by how their bytes begin.
  firewall_rules(caf::actor_system&, caf::actor_id gateway, std::size_t max_message);

  caf::actor_system& system;
  caf::actor_id gateway;
  std::size_t max_message;             // bytes of one message
  std::vector<std::string> permitted;  // the beginnings of those messages
  std::string node, empty_message;     // our node, and such a message, as CAF writes them
};

enum class verdict : std::uint8_t {
  deliver,
  swallow,  ///< read, and not given to CAF
  cut,      ///< the connection is to end
};

/// One connection's. Not thread-safe.
class firewall {
 public:
  explicit firewall(const firewall_rules& rules) : rules_(rules) {}
  /// Of the first bytes of a message, `caf::io::basp::header_size` of them.
  [[nodiscard]] verdict header(std::string_view bytes);
  /// Of what follows the header that was delivered last.
  [[nodiscard]] verdict payload(std::string_view bytes);
  [[nodiscard]] std::size_t payload_size() const noexcept { return header_.payload_len; }
  /// What the peer says that it is, as bytes; empty before its handshake.
  [[nodiscard]] const std::string& node() const noexcept { return node_; }
  /// Why it was not delivered.
  [[nodiscard]] const char* why() const noexcept { return why_; }

 private:
  [[nodiscard]] verdict refuse(verdict v, const char* why) const {
    why_ = why;
    return v;
  }
  [[nodiscard]] verdict direct();
  [[nodiscard]] verdict notice(std::string_view bytes);
  [[nodiscard]] bool is_plain_error(std::string_view bytes) const;

  const firewall_rules& rules_;
  caf::io::basp::header header_{};
  int handshakes_ = 0;
  std::string node_;  // as its handshake says
  std::size_t monitors_ = 0;
  std::set<caf::actor_id> senders_;  // that have not ended
  mutable const char* why_ = "";
};

}  // namespace fairlead::actors
