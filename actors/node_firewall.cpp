#include "actors/node_firewall.hpp"

#include <algorithm>

#include <caf/atom.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>

#include <fairlead/caf/remote.hpp>

namespace fairlead::actors {

namespace basp = caf::io::basp;

namespace {

// What is not a request: handshakes, notices of actors that ended.
constexpr std::size_t most_notice = 4'096;
// Living actors of one process that talk to us over one connection, each of which CAF keeps something for; and actors that
// its CAF watches here.
constexpr std::size_t most_senders = 512, most_monitors = 256;

template <class... What>
std::string written(caf::actor_system& system, What... what) {
  std::vector<char> bytes;
  caf::binary_serializer sink{system, bytes};
  if (auto failed = sink(what...)) return {};
  return {bytes.begin(), bytes.end()};
}

/// How a message of this type begins, up to its own first byte: no route through other actors, then the type's name.
template <class Message>
std::string beginning(caf::actor_system& system) {
  auto whole = written(system, std::vector<caf::strong_actor_ptr>{}, caf::make_message(Message{}));
  whole.resize(whole.size() - written(system, Message{}).size());
  return whole;
}

}  // namespace

firewall_rules::firewall_rules(caf::actor_system& s, caf::actor_id g, std::size_t most)
    : system(s),
      gateway(g),
      max_message(most),
      permitted{beginning<remote::spawn>(s),       beginning<remote::emit>(s),
                beginning<remote::end>(s),         beginning<remote::watch>(s),
                beginning<remote::issue_token>(s), beginning<remote::sign_of_life>(s),
                beginning<remote::leave>(s)},
      node(written(s, s.node())),
      empty_message(written(s, caf::message{})) {}

verdict firewall::header(std::string_view bytes) {
  caf::binary_deserializer source{rules_.system, bytes.data(), bytes.size()};
  if (bytes.size() != basp::header_size || source(header_) || !basp::valid(header_))
    return refuse(verdict::cut, "not CAF's protocol");
  if (handshakes_ == 0 && header_.operation != basp::message_type::client_handshake)
    return refuse(verdict::cut, "no handshake");
  if (header_.operation == basp::message_type::direct_message) return direct();
  if (header_.payload_len > most_notice) return refuse(verdict::cut, "too large");
  // CAF reads what is not there.
  if (header_.payload_len == 0 && header_.operation != basp::message_type::heartbeat)
    return refuse(verdict::cut, "nothing in it");
  // We are no way to others. CAF itself sends one for each link, in the name of who is linked to.
  if (header_.operation == basp::message_type::routed_message)
    return refuse(verdict::swallow, "a message by way of another node");
  switch (header_.operation) {
  case basp::message_type::client_handshake:
    // The same twice, the second time to say that it means this connection.
    if (header_.flags != (handshakes_ == 0 ? 0 : basp::header::select_connection_flag) ||
        ++handshakes_ > 2)
      return refuse(verdict::cut, "another handshake");
    return verdict::deliver;
  case basp::message_type::monitor_message:
    if (++monitors_ > most_monitors) return refuse(verdict::cut, "too many monitors");
    return verdict::deliver;
  case basp::message_type::down_message:
  case basp::message_type::heartbeat: return verdict::deliver;
  default: return refuse(verdict::cut, "a server's handshake");
  }
}

verdict firewall::direct() {
  if (header_.payload_len > rules_.max_message) return refuse(verdict::cut, "too large");
  if (header_.has(basp::header::named_receiver_flag) || header_.dest_actor != rules_.gateway)
    return refuse(verdict::swallow, "for another actor");
  return verdict::deliver;
}

verdict firewall::payload(std::string_view bytes) {
  if (header_.operation == basp::message_type::client_handshake) {
    if (handshakes_ == 1) node_ = bytes;
    return node_ == bytes ? verdict::deliver : refuse(verdict::cut, "another handshake");
  }
  if (header_.operation != basp::message_type::direct_message) return notice(bytes);
  const auto fits = [&](const std::string& p) { return bytes.starts_with(p); };
  if (std::ranges::none_of(rules_.permitted, fits))
    return refuse(verdict::swallow, "a message of another type");
  // The connection is also that of those who spoke before.
  if (senders_.size() >= most_senders && !senders_.contains(header_.source_actor))
    return refuse(verdict::swallow, "too many senders");
  senders_.insert(header_.source_actor);
  return verdict::deliver;
}

/// That an actor is monitored, or has ended. Begins with the node that says so and the one that it says it to, which CAF
/// believes, and passes on if that is not us.
verdict firewall::notice(std::string_view bytes) {
  const auto from_it_to_us = node_ + rules_.node;
  if (!bytes.starts_with(from_it_to_us))
    return refuse(verdict::swallow, "a notice of another node's, or for another");
  if (header_.operation != basp::message_type::down_message) return verdict::deliver;
  if (!is_plain_error(bytes.substr(from_it_to_us.size())))
    return refuse(verdict::swallow, "a down message");
  senders_.erase(header_.source_actor);  // as CAF does
  return verdict::deliver;
}

/// Without a message in it: that one could be anything.
bool firewall::is_plain_error(std::string_view bytes) const {
  caf::binary_deserializer source{rules_.system, bytes.data(), bytes.size()};
  std::uint8_t code = 0;
  auto category = caf::atom("");
  if (source(code, category)) return false;
  return bytes.substr(bytes.size() - source.remaining()) == rules_.empty_message;
}

}  // namespace fairlead::actors
