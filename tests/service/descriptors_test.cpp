#include <cstddef>
#include <initializer_list>
#include <limits>

#include <doctest/doctest.h>

#include "service/descriptors.hpp"

namespace fairlead::service {

TEST_SUITE("service/descriptors") {
  TEST_CASE("a limit that is high enough lets clients have what they may") {
    for (const std::size_t limit :
         {std::size_t{20'542}, std::size_t{1} << 20, std::numeric_limits<std::size_t>::max()}) {
      const auto share = share_descriptors(limit, 30, 20'000);
      CHECK(share.clients == 20'000);
      CHECK(share.refusals == 256);
      CHECK(share.needed == 20'542);
    }
  }

  TEST_CASE(
      "under one that is not, clients leave room for refusals and for the internal listener") {
    CHECK(share_descriptors(20'000, 30, 20'000).clients == 20'000 - 30 - 512);
    const auto share = share_descriptors(1'024, 30, 20'000);
    CHECK(share.clients == 1'024 - 30 - 256);
    CHECK(share.refusals == 128);
    CHECK(share.clients + share.refusals + 30 + 128 == 1'024);
  }

  TEST_CASE("what is needed is enough, and one less is not") {
    for (const std::size_t wanted : {1, 2, 90, 500, 1'506, 1'507, 2'000, 60'000}) {
      CAPTURE(wanted);
      const auto needed = share_descriptors(0, 30, wanted).needed;
      CHECK(share_descriptors(needed, 30, wanted).clients == wanted);
      if (wanted > 1) CHECK(share_descriptors(needed - 1, 30, wanted).clients == wanted - 1);
    }
  }

  TEST_CASE("where there is no room at all, one client may still come") {
    CHECK(share_descriptors(16, 30, 20'000).clients == 1);
  }

  TEST_CASE("the process tells its own") {
    CHECK(open_descriptors() > 2);
    CHECK(descriptor_limit() > open_descriptors());
  }
}

}  // namespace fairlead::service
