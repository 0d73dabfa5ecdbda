#include <map>

#include <doctest/doctest.h>

#include "protocol/severity.hpp"

using namespace fairlead;
using namespace fairlead::protocol;

TEST_SUITE_BEGIN("protocol/severity");

TEST_CASE("sends: after the close is debug, an unknown connection or a limit is a warning") {
  const std::map<send_result, severity> table{
      {send_result::written, severity::debug},
      {send_result::connecting, severity::warning},
      {send_result::accepted, severity::warning},
      {send_result::closing, severity::debug},
      {send_result::closed, severity::debug},
      {send_result::failed, severity::debug},
      {send_result::reconnecting, severity::debug},
      {send_result::overflow, severity::warning},
      {send_result::expired, severity::warning},
      {send_result::too_large, severity::warning},
      {send_result::no_such_connection, severity::warning},
  };
  REQUIRE(table.size() == send_result_count);
  for (const auto& line : table) {
    INFO(to_string(line.first));
    CHECK(severity_of(line.first) == line.second);
  }
}

TEST_CASE("closes: twice is debug, an unknown connection or a bad code is a warning") {
  CHECK(severity_of(close_result::initiated) == severity::debug);
  CHECK(severity_of(close_result::already_closing) == severity::debug);
  CHECK(severity_of(close_result::already_closed) == severity::debug);
  CHECK(severity_of(close_result::no_such_connection) == severity::warning);
  CHECK(severity_of(close_result::invalid_code) == severity::warning);
}

TEST_CASE("transitions: opened and ended are info, the steps between are debug") {
  CHECK(severity_of(connection_state::connecting) == severity::debug);
  CHECK(severity_of(connection_state::accepted) == severity::debug);
  CHECK(severity_of(connection_state::open) == severity::info);
  CHECK(severity_of(connection_state::closing) == severity::debug);
  CHECK(severity_of(connection_state::closed) == severity::info);
  CHECK(severity_of(connection_state::failed) == severity::info);
}

TEST_CASE(
    "ends: what the network does is info, what a client breaks a warning, what we break an error") {
  const auto ended = [](initiator by, bool clean) {
    return severity_of(close_info{close_code::normal, "", by, clean});
  };
  for (const bool clean : {true, false}) {
    CHECK(ended(initiator::application, clean) == severity::info);
    CHECK(ended(initiator::peer, clean) == severity::info);
    CHECK(ended(initiator::shutdown, clean) == severity::info);
    CHECK(ended(initiator::transport, clean) == severity::info);
    CHECK(ended(initiator::violation, clean) == severity::warning);
    CHECK(ended(initiator::limit, clean) == severity::warning);
    CHECK(ended(initiator::error, clean) == severity::error);
  }
  // An admission that ends when it is to end.
  CHECK(severity_of(close_info{close_code::unauthorized, "expired", initiator::limit, true}) ==
        severity::info);
}

TEST_CASE("what nobody expected is an error, and so is a value that is none") {
  CHECK(severity_of_the_unexpected == severity::error);
  CHECK(severity_of(static_cast<send_result>(99)) == severity::error);
  CHECK(to_string(severity::debug) == "debug");
  CHECK(to_string(severity::info) == "info");
  CHECK(to_string(severity::warning) == "warning");
  CHECK(to_string(severity::error) == "error");
}

TEST_SUITE_END();
