#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include <fairlead/close.hpp>
#include <fairlead/limits.hpp>
#include <fairlead/message.hpp>
#include <fairlead/result.hpp>

#include "protocol/chunk.hpp"

/// The connection's state machine: pure, sans-I/O, total. States are types that hold only what that state may use;
/// there is one rule per (state, event) pair and a missing one does not build. Time is an argument, effects are data.
namespace fairlead::protocol {

using time_point = std::chrono::steady_clock::time_point;

enum class connection_state : std::uint8_t { connecting, accepted, open, closing, closed, failed };
[[nodiscard]] std::string_view to_string(connection_state) noexcept;

// --- states -------------------------------------------------------------------------------------------------------

struct connecting {};
struct accepted {};
/// The only state with a queue: what was handed to the wire and the kernel has not taken yet.
struct open {
  std::uint32_t queued_messages = 0;
  std::size_t queued_bytes = 0;
};
/// A Close frame is on its way, ours or the answer to the peer's.
struct closing {
  close_info info;
  time_point deadline;
  connection_state reached;  ///< how far it had come: connecting, accepted or open
};
struct closed {
  close_info info;
};
struct failed {
  close_info info;
};
using state = std::variant<connecting, accepted, open, closing, closed, failed>;

[[nodiscard]] connection_state kind_of(const state&) noexcept;
/// When the machine wants a `deadline_passed`; time_point::max() when it waits for nothing.
[[nodiscard]] time_point deadline_of(const state&) noexcept;

// --- events -------------------------------------------------------------------------------------------------------

struct upgraded {};                    ///< the 101 response is queued
struct admitted {};                    ///< registered
struct send { chunk what; };           ///< a send reached the mailbox
struct received { message what; };     ///< a whole inbound message
struct written { std::uint32_t messages; std::size_t bytes; };  ///< the kernel took this much more
struct ask_close { close_code code; std::string reason; initiator by; };
struct peer_closed { close_code code; std::string reason; };    ///< its Close was read; the wire is sealed by an answer
struct violated { close_code code; std::string reason; };       ///< the peer broke the protocol; Close with code is queued
struct link_closed {};                 ///< both Close frames are exchanged and the kernel took ours
struct link_failed { std::error_code error; std::string what; };  ///< reset, end of file, time-out
struct deadline_passed {};             ///< `deadline_of` came

// --- effects ------------------------------------------------------------------------------------------------------

struct announce_open {};               ///< call the handlers, start reading
struct write { chunk what; };          ///< hand to the wire
struct send_close { close_code code; std::string reason; };  ///< queue a Close frame and seal the wire
struct abort_link {};                  ///< drop the socket now
struct deliver { message what; };      ///< to the handlers
struct discard { message what; };      ///< inbound data that came too late
struct refuse { chunk what; send_result why; };              ///< settle as refused
struct answer_close { close_result result; };                ///< exactly one for each ask_close
struct report_closed { close_info info; connection_state reached; };  ///< exactly one in a life
using effect = std::variant<announce_open, write, send_close, abort_link, deliver, discard, refuse, answer_close,
                            report_closed>;
/// The caller's, cleared and reused: stepping allocates nothing once its capacity is there.
using effects = std::vector<effect>;

/// Applies one event: replaces the state, appends effects in the order in which they must be carried out.
/// Event is one of the event structs above. `now` only ever grows.
template <class Event>
void step(state&, Event&&, const limits&, time_point now, effects&);

}  // namespace fairlead::protocol
