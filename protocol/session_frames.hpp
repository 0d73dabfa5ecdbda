#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fairlead/message.hpp>

#include "protocol/rfc3339.hpp"

/// What sessions and their clients say to each other: JSON in text messages, docs/sessions.md.
namespace fairlead::protocol {

/// What a client asks for when it attaches. All of it came from a client.
struct attach_request {
  std::string session;
  std::string token;
  std::uint64_t after = 0;  ///< it has everything up to this offset ...
  std::string epoch = {};   ///< ... of this epoch; empty: of whichever the session has
};

/// 1 to 128 letters, digits, `.`, `_`, `:`, `-`: what needs no quoting in JSON, in a URL or in a log.
[[nodiscard]] bool valid_session_id(std::string_view) noexcept;
/// 1 to 64 of these, or `/`: names of session types and of events.
[[nodiscard]] bool valid_name(std::string_view) noexcept;

/// `{"session":"s1","offset":7,"type":"tick","data":{},"time":"2026-01-02T03:04:05.678Z"}`. `data` is embedded as it is.
[[nodiscard]] message encode_event(std::string_view session, std::uint64_t offset,
                                   std::string_view type, std::string_view data, wall_time);
/// How many bytes `encode_event` puts around `data`, at most.
inline constexpr std::size_t event_overhead = 400;

/// The first message on a socket: `{"session":"s1","attached":{"recovered":true,"epoch":"...","offset":7,"token":"..."}}`.
/// `offset` is the stream's top. If `recovered`, what the client missed up to it follows; if not, some of it is lost and
/// none follows: the client is at `offset` now.
struct attached_notice {
  std::string_view session;
  bool recovered;
  std::string_view epoch;
  std::uint64_t offset;
  std::string_view token;
};
[[nodiscard]] message encode_attached(const attached_notice&);

/// The offset of `{"ack":7}`, spaces allowed; nothing if this is another message.
[[nodiscard]] std::optional<std::uint64_t> parse_ack(std::string_view text) noexcept;

}  // namespace fairlead::protocol
