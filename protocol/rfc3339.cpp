#include "protocol/rfc3339.hpp"

#include <cstddef>
#include <cstdint>

namespace fairlead::protocol {
namespace {

/// The last digits of `n`, so many of them.
char* put(char* out, std::uint64_t n, std::size_t width) {
  for (auto* at = out + width; at != out; n /= 10) *--at = static_cast<char>('0' + n % 10);
  return out + width;
}

}  // namespace

char* put_rfc3339(char* out, wall_time t) noexcept {
  using namespace std::chrono;
  const auto day = floor<days>(t);
  const year_month_day date{day};
  const auto ms = static_cast<std::uint64_t>(floor<milliseconds>(t - day).count());
  auto* end = put(out, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
  const auto next = [&](char separator, std::uint64_t n, std::size_t width) {
    *end++ = separator;
    end = put(end, n, width);
  };
  next('-', static_cast<unsigned>(date.month()), 2);
  next('-', static_cast<unsigned>(date.day()), 2);
  next('T', ms / 3'600'000, 2);
  next(':', ms / 60'000 % 60, 2);
  next(':', ms / 1000 % 60, 2);
  next('.', ms % 1000, 3);
  *end++ = 'Z';
  return end;
}

std::string rfc3339(wall_time t) {
  std::string out(rfc3339_size, '\0');
  put_rfc3339(out.data(), t);
  return out;
}

}  // namespace fairlead::protocol
