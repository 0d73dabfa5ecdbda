#include "service/url_query.hpp"

#include <algorithm>

#include <boost/url/encoding_opts.hpp>
#include <boost/url/params_encoded_view.hpp>
#include <boost/url/params_view.hpp>
#include <boost/url/parse_query.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "service/text.hpp"

namespace fairlead::service {

parsed<std::vector<parameter>> parameters(std::string_view query,
                                          std::span<const std::string_view> known) {
  std::vector<parameter> found;
  if (query.empty()) return found;
  // A copy that ends in a NUL: Boost.URL 1.81 forgets the length of what it is given, and looks for one.
  const std::string terminated{query};
  const auto encoded = boost::urls::parse_query(terminated);
  if (!encoded) {
    return problem{
        "query",
        fmt::format("{} cannot be read; write name=value&name=value, other characters as %XX",
                    in_quotes(query))};
  }
  for (const auto& p : boost::urls::params_view{*encoded, {}}) {
    if (p.key.empty()) {
      return problem{
          "query", fmt::format("a parameter without a name; known are {}", fmt::join(known, ", "))};
    }
    if (std::find(known.begin(), known.end(), p.key) == known.end()) {
      return problem{p.key, fmt::format("there is no such parameter{}; known are {}",
                                        did_you_mean(p.key, known), fmt::join(known, ", "))};
    }
    const auto same = [&](const parameter& other) { return other.name == p.key; };
    if (std::any_of(found.begin(), found.end(), same))
      return problem{p.key, "given twice; give it once"};
    found.push_back({p.key, p.value});
  }
  return found;
}

parsed<std::size_t> parse_limit(std::string_view text) {
  const auto n = number<std::size_t>(text);
  if (n && *n >= 1 && *n <= most_rows) return *n;
  return problem{"limit", fmt::format("{} is no limit; give a whole number from 1 to {}",
                                      in_quotes(text), most_rows)};
}

}  // namespace fairlead::service
