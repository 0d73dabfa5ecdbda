#pragma once

#include <string>
#include <utility>
#include <vector>

#include <boost/system/result.hpp>

namespace fairlead::service {

/// Something in a request, an option or a setting that cannot be used.
struct problem {
  std::string where;  ///< the parameter, field, option or key, by the name its author wrote
  std::string what;   ///< what was wrong and what would be right, without a full stop

  problem() = default;
  problem(std::string at, std::string wrong) : where(std::move(at)), what(std::move(wrong)) {}
  friend bool operator==(const problem&, const problem&) = default;
};
using problems = std::vector<problem>;

template <class T>
using parsed = boost::system::result<T, problem>;

}  // namespace fairlead::service
