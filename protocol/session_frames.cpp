#include "protocol/session_frames.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace fairlead::protocol {
namespace {

bool plain(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == ':' || c == '-';
}

void append_number(std::string& out, std::uint64_t n) {
  std::array<char, 20> digits;
  out.append(digits.data(), std::to_chars(digits.begin(), digits.end(), n).ptr);
}

}  // namespace

bool valid_session_id(std::string_view id) noexcept {
  return !id.empty() && id.size() <= 128 && std::ranges::all_of(id, plain);
}

bool valid_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 64 &&
         std::ranges::all_of(name, [](char c) { return plain(c) || c == '/'; });
}

message encode_event(std::string_view session, std::uint64_t offset, std::string_view type,
                     std::string_view data, wall_time at) {
  // One per loop, as long as the longest: no allocation but the message's own.
  thread_local std::string out;
  if (const auto most = session.size() + type.size() + data.size() + event_overhead;
      out.size() < most)
    out.resize(most);
  auto* end = out.data();
  const auto put = [&](std::string_view part) {  // std::ranges::copy goes byte by byte here
    std::memcpy(end, part.data(), part.size());
    end += part.size();
  };
  put(R"({"session":")");
  put(session);
  put(R"(","offset":)");
  end = std::to_chars(end, out.data() + out.size(), offset).ptr;
  put(R"(,"type":")");
  put(type);
  put(R"(","data":)");
  put(data);
  put(R"(,"time":")");
  end = put_rfc3339(end, at);
  put(R"("})");
  auto encoded = message::text({out.data(), end});
  if (out.size() > 64 * 1024) out = {};
  return encoded;
}

message encode_attached(const attached_notice& n) {
  std::string out;
  out.append(R"({"session":")").append(n.session).append(R"(","attached":{"recovered":)");
  out.append(n.recovered ? "true" : "false");
  out.append(R"(,"epoch":")").append(n.epoch).append(R"(","offset":)");
  append_number(out, n.offset);
  out.append(R"(,"token":")").append(n.token).append(R"("}})");
  return message::text(out);
}

std::optional<std::uint64_t> parse_ack(std::string_view text) noexcept {
  const auto skip_spaces = [&] {
    const auto first = text.find_first_not_of(" \t\r\n");
    text.remove_prefix(std::min(first, text.size()));
  };
  const auto take = [&](std::string_view token) {
    skip_spaces();
    if (!text.starts_with(token)) return false;
    text.remove_prefix(token.size());
    return true;
  };
  if (!take("{") || !take("\"ack\"") || !take(":")) return {};
  skip_spaces();
  std::uint64_t offset = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (error != std::errc{} || (text[0] == '0' && end != text.data() + 1)) return {};
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!take("}")) return {};
  skip_spaces();
  return text.empty() ? std::optional{offset} : std::nullopt;
}

}  // namespace fairlead::protocol
