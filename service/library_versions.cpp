#include "service/library_versions.hpp"

#include <boost/version.hpp>
#include <caf/config.hpp>
#include <fmt/format.h>

#include <fairlead/version.hpp>

namespace fairlead::service {

std::string versions() {
  return fmt::format("fairlead {}\nCAF {}.{}.{}\nBoost {}.{}.{}", version(), CAF_VERSION / 10000,
                     CAF_VERSION / 100 % 100, CAF_VERSION % 100, BOOST_VERSION / 100'000,
                     BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100);
}

}  // namespace fairlead::service
