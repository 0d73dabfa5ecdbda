#include <doctest/doctest.h>

#include "service/reply_desk.hpp"
#include "tests/support/test_loop.hpp"

namespace fairlead::service {
namespace {

using namespace std::chrono_literals;

net::http_response reply(std::string body) {
  net::http_response r{};
  r.body = std::move(body);
  return r;
}

struct fixture {
  std::shared_ptr<test::test_loop> loop = std::make_shared<test::test_loop>();
  std::shared_ptr<reply_desk> desk = std::make_shared<reply_desk>(loop);
  std::vector<std::string> answers;

  reply_desk::answer open() {
    return desk->open([this](net::http_response r) { answers.push_back(r.body); }, 5s,
                      reply("late"));
  }
};

}  // namespace

TEST_SUITE("service/reply_desk") {
  TEST_CASE_FIXTURE(fixture, "an answer in time is the one, and the time-out is off") {
    const auto answer = open();
    answer(reply("written"));
    CHECK(answers.empty());  // given on the loop, wherever it came from
    loop->run();
    loop->advance(10s);
    CHECK(answers == std::vector<std::string>{"written"});
    CHECK(loop->timers() == 0);
  }

  TEST_CASE_FIXTURE(fixture,
                    "after the time-out the stand-in is given, and the answer then does nothing") {
    const auto answer = open();
    loop->advance(6s);
    CHECK(answers == std::vector<std::string>{"late"});
    answer(reply("written"));
    loop->run();
    CHECK(answers.size() == 1);
    CHECK(loop->timers() == 0);
  }

  TEST_CASE_FIXTURE(fixture, "requests do not get each other's answers") {
    const auto first = open();
    const auto second = open();
    second(reply("2"));
    first(reply("1"));
    loop->run();
    CHECK(answers == std::vector<std::string>{"2", "1"});
  }

  TEST_CASE_FIXTURE(fixture, "an answer after the desk or the loop is gone does nothing") {
    const auto answer = open();
    desk.reset();
    answer(reply("written"));
    loop->run();
    CHECK(answers.empty());
    CHECK(loop->timers() == 0);
    loop->stop();
    answer(reply("written"));
    CHECK(answers.empty());
  }
}

}  // namespace fairlead::service
