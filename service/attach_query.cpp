#include "service/attach_query.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "net/request_target.hpp"

namespace fairlead::service {
namespace {

constexpr std::array<std::string_view, 4> names{"session", "token", "after", "epoch"};

std::optional<std::uint64_t> offset_of(std::string_view text) noexcept {
  std::uint64_t n = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc{} && rest == text.data() + text.size() ? std::optional{n}
                                                                   : std::nullopt;
}

}  // namespace

parsed<std::unique_ptr<const protocol::attach_request>> parse_attach_query(std::string_view query) {
  if (query.find("session") == std::string_view::npos) return {nullptr};
  std::array<std::optional<std::string>, names.size()> found;
  std::optional<problem> wrong;
  for_each_parameter(query, [&](std::string_view name, std::string_view value, std::string_view) {
    const auto decoded = net::percent_decoded(name);
    const auto at = decoded ? std::ranges::find(names, *decoded) : names.end();
    if (at == names.end() || wrong) return;
    auto& place = found[static_cast<std::size_t>(at - names.begin())];
    if (place) wrong = problem{std::string{*at}, "given twice; give it once"};
    place = net::percent_decoded(value);
    if (!place)
      wrong = problem{std::string{*at}, "it has a % that two hexadecimal digits do not follow"};
  });
  if (wrong) return *wrong;
  auto& [session, token, after, epoch] = found;
  if (!session) return {nullptr};
  if (!protocol::valid_session_id(*session))
    return problem{"session", "this is no session id; is there anything but & between parameters?"};
  auto wants = std::make_unique<protocol::attach_request>();
  wants->session = std::move(*session);
  wants->token = std::move(token).value_or("");
  wants->epoch = std::move(epoch).value_or("");
  if (after && !after->empty()) {
    const auto offset = offset_of(*after);
    if (!offset)
      return problem{"after", "this is no offset; give the last one that the client has, a whole "
                              "number from 0"};
    wants->after = *offset;
  }
  return {std::move(wants)};
}

}  // namespace fairlead::service
