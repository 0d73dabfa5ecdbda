#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/session_frames.hpp"
#include "service/debug_query.hpp"

/// How a client says in its upgrade request which session it wants: `?session=ID&token=TOKEN&after=OFFSET&epoch=EPOCH`.
namespace fairlead::service {

/// Null if the query names no session. Other parameters are the application's.
[[nodiscard]] parsed<std::unique_ptr<const protocol::attach_request>>
parse_attach_query(std::string_view query);

/// Calls `visit(name, value, whole)` with each encoded parameter, `a=b` and `a` alike.
template <class Visitor>
void for_each_parameter(std::string_view query, Visitor&& visit) {
  while (true) {
    const auto one = query.substr(0, query.find('&'));
    const auto name = one.substr(0, one.find('='));
    visit(name, one.substr(std::min(name.size() + 1, one.size())), one);
    if (one.size() == query.size()) return;
    query.remove_prefix(one.size() + 1);
  }
}

}  // namespace fairlead::service
