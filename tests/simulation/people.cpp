#include "tests/simulation/people.hpp"

#include <fmt/format.h>

#include "tests/actors/session_harness.hpp"

namespace fairlead::simulation {

using test::number_in;
using test::value_in;

void emitted::answered(std::size_t which, const emit_report& r) {
  auto& a = answers.at(which);
  require(!a.report, fmt::format("{}: emit {} is answered twice", handle.id(), a.number));
  a.report = r;
  const bool in = r.result == emit_result::written || r.result == emit_result::kept ||
                  r.result == emit_result::acked ||
                  (r.result == emit_result::unacked && r.offset > 0);
  require(in == (r.offset > 0), fmt::format("{}: emit {} is {} at offset {}", handle.id(), a.number,
                                            to_string(r.result), r.offset));
  if (r.result == emit_result::acked)
    require(
        highest_ack >= r.offset,
        fmt::format("{}: offset {} is said to be acked, and nobody has", handle.id(), r.offset));
  if (!in || r.duplicate) return;
  const auto [there, is_new] = at.emplace(r.offset, a.number);
  require(is_new || there->second == a.number,
          fmt::format("{}: offset {} is both {} and {}", handle.id(), r.offset, there->second,
                      a.number));
}

void emitted::close_books() const {
  for (const auto& a : answers)
    require(a.report.has_value(), fmt::format("{}: emit {} has no answer", handle.id(), a.number));
  std::uint64_t offset = 0, number = 0;
  for (const auto& [o, n] : at) {
    require(o == ++offset, fmt::format("{}: offset {} was never given", handle.id(), offset));
    require(n > number, fmt::format("{}: {} was emitted before {}", handle.id(), n, number));
    number = n;
  }
}

void reader::got(const std::string& text, const std::map<std::uint64_t, std::uint64_t>& at) {
  if (!greeted_) {
    require(text.find("\"attached\":") != std::string::npos,
            fmt::format("the first message is no greeting: {}", text));
    greeted_ = true;
    token_ = value_in(text, "token");
    const auto epoch = value_in(text, "epoch");
    require(epoch_.empty() || epoch_ == epoch, "the epoch of a living session has changed");
    epoch_ = epoch;
    const auto top = number_in(text, "offset");
    if (value_in(text, "recovered") == "true") {
      require(top >= last_, fmt::format("recovered to {}, behind {}", top, last_));
    } else {
      require(top > last_, fmt::format("told of a gap to {} by who has {}", top, last_));
      last_ = top;
    }
    return;
  }
  const auto offset = number_in(text, "offset"), number = number_in(text, "data");
  require(offset == last_ + 1, fmt::format("offset {} follows {}", offset, last_));
  require(number > numbered_, fmt::format("event {} came behind {}", number, numbered_));
  if (const auto known = at.find(offset); known != at.end())
    require(known->second == number,
            fmt::format("offset {} is {}, and was emitted as {}", offset, number, known->second));
  last_ = offset;
  numbered_ = number;
}

void reader::lost(std::optional<close_code> why) {
  link_.reset();
  if (!why) return;
  require(*why != close_code::session_token, "turned away with a token that is good");
  const auto code = static_cast<unsigned>(*why);
  stays_away_ = code >= 4500 || *why == close_code::internal_error;
}

}  // namespace fairlead::simulation
