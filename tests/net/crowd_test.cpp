#include <doctest/doctest.h>

#include "net/crowd.hpp"

using namespace fairlead;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("net/crowd");

namespace {

net::client_network at(const char* address) {
  return net::network_of({net::asio::ip::make_address(address), 1234});
}

}  // namespace

TEST_CASE("an IPv4 address is one client, also within IPv6; so is an IPv6 /64 network") {
  CHECK(at("192.0.2.1") == at("192.0.2.1"));
  CHECK(at("192.0.2.1") == at("::ffff:192.0.2.1"));
  CHECK(at("192.0.2.1") != at("192.0.2.2"));
  CHECK(at("2001:db8:1:2::1") == at("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  CHECK(at("2001:db8:1:2::1") != at("2001:db8:1:3::1"));
  CHECK(at("::1") != at("0.0.0.1"));
}

TEST_CASE("who comes is counted in total and by network, until the last one leaves") {
  net::crowd all;
  all.enter(1);
  all.enter(1);
  all.enter(2);
  CHECK(all.total() == 3);
  CHECK(all.from(1) == 2);
  all.leave(1);
  all.leave(1);
  CHECK(all.total() == 1);
  CHECK(all.from(1) == 0);
  CHECK(all.from(2) == 1);
}

TEST_CASE("accepts: a second's worth at once, then one every so often") {
  limits bounds;
  bounds.max_accepts_per_second = 10;
  net::crowd all;
  protocol::time_point now{1h};
  for (int i = 0; i < 10; ++i) {
    CHECK(all.wait(bounds, now) == 0s);
    all.accepted(bounds, now);
  }
  CHECK(all.wait(bounds, now) == 100ms);
  CHECK(all.wait(bounds, now + 100ms) == 0s);
  all.accepted(bounds, now + 100ms);
  CHECK(all.wait(bounds, now + 100ms) == 100ms);
  CHECK(all.wait(bounds, now + 10min) == 0s);
}

TEST_SUITE_END();
