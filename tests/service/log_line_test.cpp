#include <limits>
#include <vector>

#include <boost/json/parse.hpp>
#include <doctest/doctest.h>

#include "service/log_line.hpp"

namespace fairlead::service {
namespace {

constexpr wall_clock_time new_year{std::chrono::milliseconds{1'767'225'600'000}};
using fields = std::vector<log_field>;

std::string human(const fields& f) {
  return human_line(new_year, severity::info, "connection.closed", f);
}
std::string machine(const fields& f) {
  return json_line(new_year, severity::warning, "connection.closed", f);
}

}  // namespace

TEST_SUITE("service/log_line") {
  TEST_CASE("human: time, severity, event, then key=value; text with spaces is quoted") {
    CHECK(human({{"id", std::string_view{"c0-1"}},
                 {"code", std::uint64_t{1000}},
                 {"reason", std::string_view{"so long"}}}) ==
          R"(2026-01-01T00:00:00.000Z INFO  connection.closed id=c0-1 code=1000 reason="so long")");
    CHECK(
        human({{"user", std::string_view{}},
               {"clean", true},
               {"lag", 0.5},
               {"delta", std::int64_t{-3}}}) ==
        R"(2026-01-01T00:00:00.000Z INFO  connection.closed user="" clean=true lag=0.5 delta=-3)");
    CHECK(human_line(new_year, severity::error, "x", {}) == "2026-01-01T00:00:00.000Z ERROR x");
  }

  TEST_CASE("human: a peer's close reason can forge neither a line nor a field nor a colour") {
    const std::string_view evil =
        "bye\n2026-01-01T00:00:00.000Z INFO  server.stopped \x1b[2J code=1\" by=\"root";
    const auto line = human({{"reason", evil}});
    CHECK(line.find('\n') == std::string::npos);
    CHECK(line.find('\x1b') == std::string::npos);
    CHECK(line.ends_with(
        R"(reason="bye\n2026-01-01T00:00:00.000Z INFO  server.stopped \u001b[2J code=1\" by=\"root")"));
    CHECK(human({{"reason", std::string_view{"a=b"}}}).ends_with(R"(reason="a=b")"));
  }

  TEST_CASE("json: one object on one line that any JSON reader takes, whatever the bytes") {
    const std::string_view evil = "bye\n\xFF\" , \"severity\":\"error";
    const auto line = machine({{"reason", evil}, {"code", std::uint64_t{1000}}, {"clean", false}});
    CHECK(line.find('\n') == std::string::npos);
    const auto object = boost::json::parse(line).as_object();
    CHECK(object.at("time") == "2026-01-01T00:00:00.000Z");
    CHECK(object.at("severity") == "warning");
    CHECK(object.at("event") == "connection.closed");
    CHECK(object.at("reason") == "bye\n\xEF\xBF\xBD\" , \"severity\":\"error");
    CHECK(object.at("code").to_number<int>() == 1000);
    CHECK(object.at("clean") == false);
  }

  TEST_CASE("json: a number that JSON cannot hold is null") {
    const auto object =
        boost::json::parse(machine({{"lag", std::numeric_limits<double>::infinity()}})).as_object();
    CHECK(object.at("lag").is_null());
  }
}

}  // namespace fairlead::service
