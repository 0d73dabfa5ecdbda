#include "service/session_json.hpp"

#include <array>
#include <span>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "service/snapshot_json.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

namespace json = boost::json;
using namespace std::chrono;

std::string base64(std::span<const std::byte> bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // and EVP's zero
  const auto n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                 reinterpret_cast<const unsigned char*>(bytes.data()),
                                 static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

/// One sentence for who is on call.
std::string why(const session_snapshot& s) {
  const auto left = in_words(s.ends_in.value_or(milliseconds{0}));
  switch (s.state) {
  case session_state::detached:
    return fmt::format("no socket has come yet; without one it ends in {}", left);
  case session_state::reconnecting:
    return fmt::format("its last socket has been gone for {}; without one it ends in {}",
                       in_words(s.in_state), left);
  case session_state::attached: {
    std::size_t lagging = 0;
    for (const auto& socket : s.sockets) lagging += socket.lagging ? 1 : 0;
    if (lagging == 0) return "its sockets have been sent all that there is";
    return fmt::format("{} of its {} sockets read more slowly than it emits; each is cut once the "
                       "stream does not keep what it misses",
                       lagging, s.sockets.size());
  }
  case session_state::ended: break;
  }
  return "it is ending";
}

json::object metadata_json(const session_snapshot& s) {
  json::object out;
  for (const auto& [name, value] : s.metadata) out[json_text(name)] = json_text(value);
  return out;
}

}  // namespace

json::object brief_json(const session& s) {
  json::object out;
  out["id"] = json_text(s.id());
  out["type"] = json_text(s.type());
  out["user"] = text_or_null(s.user());
  out["state"] = json_text(to_string(s.state()));
  return out;
}

json::object row_json(const session_snapshot& s, protocol::wall_time now) {
  json::object out;
  out["id"] = json_text(s.id);
  out["type"] = json_text(s.type);
  out["user"] = text_or_null(s.user);
  out["state"] = json_text(to_string(s.state));
  out["state_since"] = json_text(rfc3339(now - s.in_state));
  out["in_state_ms"] = s.in_state.count();
  out["why"] = json_text(why(s));
  out["ends_in_ms"] = s.ends_in ? json::value(s.ends_in->count()) : nullptr;
  out["began"] = json_text(rfc3339(s.began));
  out["owned"] = s.has_owner;
  out["restarts"] = s.restarts;
  out["mailbox"] = s.mailbox;
  out["offset"] = s.offset;
  out["acked"] = s.acked;
  out["kept_from"] = s.first_kept == 0 ? json::value(nullptr) : json::value(s.first_kept);
  out["kept_messages"] = s.kept_messages;
  out["kept_bytes"] = s.kept_bytes;
  out["sockets"] = s.sockets.size();
  out["resumes"] = s.resumes;
  out["replayed"] = s.replayed;
  out["received"] = s.received;
  out["inbox"] = s.inbox;
  out["inbox_bytes"] = s.inbox_bytes;
  out["inbox_readers"] = s.inbox_readers;
  return out;
}

json::object session_json(const session_snapshot& s, protocol::wall_time now) {
  auto out = row_json(s, now);
  json::array sockets, events;
  for (const auto& socket : s.sockets)
    sockets.push_back(json::object{{"client", json_text(to_string(socket.id))},
                                   {"sent", socket.sent},
                                   {"behind", s.offset - socket.sent},
                                   {"lagging", socket.lagging}});
  for (const auto& e : s.events)
    events.push_back(json::object{{"at", json_text(rfc3339(s.began + e.at))},
                                  {"at_ms", e.at.count()},
                                  {"event", e.name},
                                  {"detail", e.detail}});
  out["sockets"] = std::move(sockets);
  out["epoch"] = json_text(s.epoch);
  out["metadata"] = metadata_json(s);
  out["events"] = std::move(events);
  return out;
}

json::object ended_json(const ended_session& s) {
  json::object out;
  out["id"] = json_text(s.id);
  out["type"] = json_text(s.type);
  out["user"] = text_or_null(s.user);
  out["state"] = json_text(to_string(session_state::ended));
  out["state_since"] = json_text(rfc3339(s.ended));
  out["by"] = json_text(to_string(s.info.by));
  out["reason"] = text_or_null(s.info.reason);
  out["began"] = json_text(rfc3339(s.began));
  out["lasted_ms"] = duration_cast<milliseconds>(s.ended - s.began).count();
  out["offset"] = s.offset;
  out["unread"] = s.unread;
  return out;
}

json::object report_json(const emit_report& r) {
  json::object out;
  out["outcome"] = json_text(to_string(r.result));
  out["offset"] = r.offset == 0 ? json::value(nullptr) : json::value(r.offset);
  out["duplicate"] = r.duplicate;
  return out;
}

json::array inbox_json(const std::vector<inbox_message>& messages) {
  json::array all;
  for (const auto& m : messages) {
    json::object one{{"offset", m.offset}};
    if (m.what.kind() == message_kind::text)
      one["text"] = json_text(m.what.view());
    else
      one["base64"] = base64(std::as_bytes(std::span{m.what.view()}));
    all.push_back(std::move(one));
  }
  return all;
}

json::object sessions_tree_json(const session_kinds& kinds, const server_status& server) {
  json::array types;
  std::int64_t all = 0;
  for (const auto& kind : kinds) {
    json::object by_state;
    for (std::size_t i = 0; i < static_cast<std::size_t>(session_state::ended); ++i) {
      const auto n = kind->counts.by_state[i].load(std::memory_order_relaxed);
      by_state[to_string(static_cast<session_state>(i))] = n;
      all += n;
    }
    types.push_back(json::object{{"type", json_text(kind->name)},
                                 {"by_state", std::move(by_state)},
                                 {"restarts", kind->counts.restarts.load()}});
  }
  return {{"sessions", all},
          {"kept_bytes", server.stream_bytes},
          {"max_total_stream_bytes", server.max_total_stream_bytes},
          {"types", std::move(types)}};
}

}  // namespace fairlead::service
