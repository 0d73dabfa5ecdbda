#include "service/explanation.hpp"

#include <fmt/format.h>

#include "service/text.hpp"

namespace fairlead::service {
namespace {

using protocol::closed_record;
using protocol::connection_snapshot;
using protocol::connection_state;

std::string_view who(initiator by) noexcept {
  switch (by) {
  case initiator::application: return "the application";
  case initiator::peer: return "the peer";
  case initiator::violation: return "a protocol violation of the peer's";
  case initiator::error: return "an error in a handler of ours";
  case initiator::limit: return "a limit of ours";
  case initiator::shutdown: return "the server's shutdown";
  case initiator::transport: return "the transport";
  }
  return "something unknown";
}

std::string code_and_reason(close_code code, std::string_view reason) {
  auto text = fmt::format("{} ({})", static_cast<unsigned>(code), meaning(code));
  if (!reason.empty()) text += ' ' + in_quotes(reason);
  return text;
}

std::string_view what_policy_does(slow_policy policy) noexcept {
  switch (policy) {
  case slow_policy::disconnect: return "it is disconnected";
  case slow_policy::drop_newest: return "new ones are refused";
  case slow_policy::drop_oldest:
  case slow_policy::keep_latest: return "older ones are dropped";
  }
  return "something unknown happens";
}

std::string queue_in_words(const connection_snapshot& c) {
  if (c.queued_messages == 0) return "nothing is queued";
  const auto queued =
      fmt::format("{} message{} ({}) queued", c.queued_messages, c.queued_messages == 1 ? "" : "s",
                  bytes_in_words(c.queued_bytes));
  if (c.wire_bytes == 0) return queued + ", none of it waiting for the kernel yet";
  return fmt::format("{}, {} of it waiting for the kernel: the client reads more slowly than it is "
                     "sent to; past {} "
                     "or {} {}",
                     queued, bytes_in_words(c.wire_bytes), c.max_queued_messages,
                     bytes_in_words(c.max_queued_bytes), what_policy_does(c.slow_consumers));
}

std::string peer_in_words(const connection_snapshot& c) {
  if (c.lagging)
    return fmt::format(
        "; it is not read for now, because {} messages of its wait for a behavior or its session",
        c.unhandled_messages);
  if (c.throttled) return "; it is not read for now, because it sent more than it may";
  if (c.awaits_pong)
    return fmt::format("; silent for {}, and has not answered a ping yet", in_words(c.silent));
  return {};
}

std::string asked_in_words(const connection_snapshot& c) {
  if (!c.last_close) return "nobody asked for it on record";
  return fmt::format("{} asked with {}", who(c.last_close->by),
                     code_and_reason(c.last_close->code, c.last_close->reason));
}

std::string closing_in_words(const connection_snapshot& c) {
  const bool peer_first = c.last_close && c.last_close->by == initiator::peer;
  std::string waits =
      peer_first ? "our answering Close is on its way" : "waiting for the peer's Close";
  if (c.wire_bytes > 0) waits = fmt::format("{} still go out first", bytes_in_words(c.wire_bytes));
  return fmt::format("closing for {}: {}; {}; aborted when the close time-out passes{}",
                     in_words(c.in_state), asked_in_words(c), waits,
                     c.wire_bytes > 0 ? " and the peer has taken none of it" : "");
}

}  // namespace

std::string_view meaning(close_code code) noexcept {
  switch (code) {  // without a default, so that the compiler asks for those to come
  case close_code::normal: return "normal";
  case close_code::going_away: return "going away";
  case close_code::protocol_error: return "protocol error";
  case close_code::unsupported_data: return "unsupported data";
  case close_code::no_status: return "no status in the Close frame";
  case close_code::abnormal: return "no Close frame";
  case close_code::invalid_payload: return "invalid payload";
  case close_code::policy_violation: return "policy violation";
  case close_code::message_too_big: return "message too big";
  case close_code::extension_required: return "extension required";
  case close_code::internal_error: return "internal error";
  case close_code::service_restart: return "service restart";
  case close_code::try_again_later: return "try again later";
  case close_code::unauthorized: return "unauthorized";
  case close_code::slow_consumer: return "slow consumer";
  case close_code::session_ended: return "session ended";
  case close_code::session_unknown: return "session unknown";
  case close_code::session_token: return "session token not good";
  case close_code::session_taken_over: return "session taken over";
  case close_code::session_full: return "session full";
  }
  const auto n = static_cast<unsigned>(code);  // one of a peer's or an embedder's
  if (n == 1014) return "bad gateway";
  if (n == 1015) return "TLS handshake failed";
  if (n >= 3000 && n < 4000) return "registered application code";
  if (n >= 4000 && n < 5000) return "private application code";
  return "unassigned";
}

std::string explain(const connection_snapshot& c) {
  switch (c.state) {
  case connection_state::connecting:
    return fmt::format(
        "connecting for {}: the upgrade request was accepted, its 101 response is not out yet",
        in_words(c.in_state));
  case connection_state::accepted:
    return fmt::format("accepted for {}: the handshake is complete, its registration is not",
                       in_words(c.in_state));
  case connection_state::open:
    return fmt::format("open for {}: {}{}", in_words(c.in_state), queue_in_words(c),
                       peer_in_words(c));
  case connection_state::closing: return closing_in_words(c);
  case connection_state::closed:
    return fmt::format("closed {} ago: {}", in_words(c.in_state), asked_in_words(c));
  case connection_state::failed:
    return fmt::format("failed {} ago: it ended without a complete closing handshake; {}",
                       in_words(c.in_state), asked_in_words(c));
  }
  return "in an unknown state";
}

std::string explain(const recorded_event& e) {
  const std::string_view name = e.name;
  if (name == "overflow") return fmt::format("a queue limit was met; {} refused so far", e.detail);
  if (name == "overflow_over") return fmt::format("there is room again; {} were refused", e.detail);
  if (name == "too_large") return fmt::format("a send of {} was refused", bytes_in_words(e.detail));
  if (name == "handler_threw") return "a handler of ours threw; see the log";
  if (e.detail == 0) return {};
  const auto code = static_cast<close_code>(e.detail);
  if (name == "closing" || name == "closed" || name == "failed") {
    return fmt::format("{} ({})", e.detail, meaning(code));
  }
  return {};
}

std::string explain(const closed_record& r) {
  const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(r.ended - r.began);
  return fmt::format("{} ended it after {} with {}; {}", who(r.info.by), in_words(lasted),
                     code_and_reason(r.info.code, r.info.reason),
                     r.info.clean ? "both Close frames were exchanged"
                                  : "the closing handshake was not completed");
}

}  // namespace fairlead::service
