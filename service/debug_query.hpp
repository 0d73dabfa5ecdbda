#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <fairlead/connection.hpp>

#include "protocol/machine.hpp"
#include "protocol/snapshot.hpp"
#include "service/problem.hpp"
#include "service/url_query.hpp"

/// What one may ask of the debug tables: parsing, filtering, sorting, paging. Pure.
namespace fairlead::service {

enum class sort_key : std::uint8_t {
  id,
  queued_bytes,
  queued_messages,
  age,
  mailbox,
  messages_in,
  messages_out
};
[[nodiscard]] std::string_view to_string(sort_key) noexcept;

/// A place between two rows of a sorted table: after the row with this key and id. Written `c0-17` for the id sort,
/// `4096:c0-17` for the others.
///
/// Pages by id are stable: a connection that lives through the whole walk is shown exactly once. Under the other
/// sorts the key of a connection may change between two pages, and that one may be shown twice or not at all.
struct page_cursor {
  std::uint64_t key = 0;
  connection_id after;
};

/// `?state=&user=&sort=&limit=&cursor=` of /debug/connections. An empty or absent parameter is the default.
struct connections_query {
  std::optional<protocol::connection_state> state;
  std::optional<std::string> user;  ///< `user=` (present and empty) asks for the anonymous ones
  sort_key sort = sort_key::id;
  bool descending = false;
  std::size_t limit = 100;
  std::optional<page_cursor> cursor;
};

[[nodiscard]] parsed<connections_query> parse_connections_query(std::string_view query);
/// `?limit=` of /debug/closed.
[[nodiscard]] parsed<std::size_t> parse_closed_query(std::string_view query);

/// What a query chose from a snapshot.
struct connections_page {
  std::size_t matching = 0;  ///< connections that pass the filters, on all pages
  std::vector<protocol::connection_snapshot> rows;
  std::string next_cursor;  ///< empty: this was the last page
};
[[nodiscard]] connections_page choose(std::vector<protocol::connection_snapshot>,
                                      const connections_query&, protocol::wall_time now);

}  // namespace fairlead::service
