#include "protocol/rfc3339.hpp"

#include <array>
#include <charconv>
#include <cstddef>

namespace fairlead::protocol {
namespace {

/// `n` in at least `width` digits.
void append_padded(std::string& out, unsigned n, std::size_t width) {
  std::array<char, 10> digits;
  const auto* const end = std::to_chars(digits.begin(), digits.end(), n).ptr;
  const auto size = static_cast<std::size_t>(end - digits.data());
  if (size < width) out.append(width - size, '0');
  out.append(digits.data(), size);
}

}  // namespace

void append_rfc3339(std::string& out, wall_time t) {
  using namespace std::chrono;
  const auto day = floor<days>(t);
  const year_month_day date{day};
  const auto ms = floor<milliseconds>(t - day).count();
  append_padded(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_padded(out, static_cast<unsigned>(ms / 3'600'000), 2);
  out += ':';
  append_padded(out, static_cast<unsigned>(ms / 60'000 % 60), 2);
  out += ':';
  append_padded(out, static_cast<unsigned>(ms / 1000 % 60), 2);
  out += '.';
  append_padded(out, static_cast<unsigned>(ms % 1000), 3);
  out += 'Z';
}

std::string rfc3339(wall_time t) {
  std::string out;
  append_rfc3339(out, t);
  return out;
}

}  // namespace fairlead::protocol
