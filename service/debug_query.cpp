#include "service/debug_query.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "service/text.hpp"
#include "service/url_query.hpp"

namespace fairlead::service {
namespace {

using protocol::connection_snapshot;
using protocol::connection_state;

constexpr std::array<std::string_view, 7> sort_names{
    "id", "queued_bytes", "queued_messages", "age", "mailbox", "messages_in", "messages_out"};

parsed<connection_state> parse_state(std::string_view text) {
  std::vector<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(connection_state::failed); ++i) {
    const auto state = static_cast<connection_state>(i);
    if (to_string(state) == text) return state;
    names.push_back(to_string(state));
  }
  return problem{"state", fmt::format("{} is no state{}; give one of {}", in_quotes(text),
                                      did_you_mean(text, names), fmt::join(names, ", "))};
}

parsed<sort_key> parse_sort(std::string_view text) {
  const auto found = std::find(sort_names.begin(), sort_names.end(), text);
  if (found != sort_names.end()) return static_cast<sort_key>(found - sort_names.begin());
  return problem{
      "sort",
      fmt::format("{} cannot be sorted by{}; give one of {}, with - in front for descending order",
                  in_quotes(text), did_you_mean(text, sort_names), fmt::join(sort_names, ", "))};
}

parsed<page_cursor> parse_cursor(std::string_view text, sort_key sort) {
  page_cursor cursor;
  auto id = text;
  bool good = true;
  if (sort != sort_key::id) {
    const auto colon = text.find(':');
    const auto key = number<std::uint64_t>(text.substr(0, colon));
    good = colon != std::string_view::npos && key;
    if (good) {
      cursor.key = *key;
      id.remove_prefix(colon + 1);
    }
  }
  const auto after = good ? parse_connection_id(id) : std::nullopt;
  if (!after) {
    return problem{
        "cursor",
        fmt::format("{} is no cursor of this sort order; give next_cursor of an answer that had "
                    "the same parameters, or none for the first page",
                    in_quotes(text))};
  }
  cursor.after = *after;
  return cursor;
}

/// Applies one parameter; `cursor` is left for later because it depends on `sort`.
std::optional<problem> apply(connections_query& q, const parameter& p) {
  if (p.name == "user") {
    q.user = p.value;
    return {};
  }
  if (p.value.empty()) return {};
  if (p.name == "state") {
    const auto state = parse_state(p.value);
    if (!state) return state.error();
    q.state = *state;
  } else if (p.name == "sort") {
    q.descending = p.value.front() == '-';
    const auto key = parse_sort(std::string_view{p.value}.substr(q.descending ? 1 : 0));
    if (!key) return key.error();
    q.sort = *key;
  } else if (p.name == "limit") {
    const auto limit = parse_limit(p.value);
    if (!limit) return limit.error();
    q.limit = *limit;
  }
  return {};
}

std::uint64_t key_of(const connection_snapshot& c, sort_key key, protocol::wall_time now) {
  using std::chrono::milliseconds;
  switch (key) {
  case sort_key::id: return 0;  // the id itself decides
  case sort_key::queued_bytes: return c.queued_bytes;
  case sort_key::queued_messages: return c.queued_messages;
  case sort_key::age:
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, std::chrono::duration_cast<milliseconds>(now - c.began).count()));
  case sort_key::mailbox: return c.mailbox;
  case sort_key::messages_in: return c.counts.messages_in;
  case sort_key::messages_out:
    return c.counts.outcomes[static_cast<std::size_t>(send_result::written)];
  }
  return 0;
}

/// A row reduced to what decides its place.
struct place {
  std::uint64_t key;
  connection_id id;
  std::size_t row;
};

/// The order of the table: by key, then by id; the id descends with the key only where it is the key.
auto in_order(const connections_query& q) {
  return [by_id = q.sort == sort_key::id, down = q.descending](const place& a, const place& b) {
    if (a.key != b.key) return down ? a.key > b.key : a.key < b.key;
    return by_id && down ? a.id > b.id : a.id < b.id;
  };
}

std::string cursor_after(const place& last, sort_key sort) {
  const auto id = to_string(last.id);
  return sort == sort_key::id ? id : fmt::format("{}:{}", last.key, id);
}

}  // namespace

std::string_view to_string(sort_key key) noexcept {
  return sort_names[static_cast<std::size_t>(key)];
}

parsed<connections_query> parse_connections_query(std::string_view query) {
  static constexpr std::array<std::string_view, 5> known{"state", "user", "sort", "limit",
                                                         "cursor"};
  const auto given = parameters(query, known);
  if (!given) return given.error();
  connections_query q;
  for (const auto& p : *given) {
    if (auto wrong = apply(q, p)) return std::move(*wrong);
  }
  for (const auto& p : *given) {
    if (p.name != "cursor" || p.value.empty()) continue;
    const auto cursor = parse_cursor(p.value, q.sort);
    if (!cursor) return cursor.error();
    q.cursor = *cursor;
  }
  return q;
}

parsed<std::size_t> parse_closed_query(std::string_view query) {
  static constexpr std::array<std::string_view, 1> known{"limit"};
  const auto given = parameters(query, known);
  if (!given) return given.error();
  if (given->empty() || given->front().value.empty()) return std::size_t{100};
  return parse_limit(given->front().value);
}

connections_page choose(std::vector<connection_snapshot> all, const connections_query& q,
                        protocol::wall_time now) {
  std::vector<place> places;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (q.state && all[i].state != *q.state) continue;
    if (q.user && all[i].user != *q.user) continue;
    places.push_back({key_of(all[i], q.sort, now), all[i].id, i});
  }
  connections_page page{.matching = places.size(), .rows = {}, .next_cursor = {}};

  const auto before = in_order(q);
  std::sort(places.begin(), places.end(), before);
  auto first = places.begin();
  if (q.cursor)
    first = std::upper_bound(first, places.end(), place{q.cursor->key, q.cursor->after, 0}, before);

  const auto left = static_cast<std::size_t>(places.end() - first);
  const auto last = first + static_cast<std::ptrdiff_t>(std::min(left, q.limit));
  for (auto p = first; p != last; ++p) page.rows.push_back(std::move(all[p->row]));
  if (last != places.end() && first != last)
    page.next_cursor = cursor_after(*std::prev(last), q.sort);
  return page;
}

}  // namespace fairlead::service
