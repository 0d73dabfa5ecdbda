#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <fairlead/logging.hpp>

#include "tests/support/waiting.hpp"

namespace fairlead {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

/// Standard error of this process, as a pipe that is read when the test wants it.
class pipe_for_stderr {
 public:
  pipe_for_stderr() : before_(::dup(STDERR_FILENO)) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    ::fcntl(ends[0], F_SETPIPE_SZ, 4096);
    read_ = ends[0];
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
  }
  ~pipe_for_stderr() {
    give_back();
    if (reader_.joinable()) reader_.join();
    ::close(read_);
  }
  pipe_for_stderr(const pipe_for_stderr&) = delete;
  pipe_for_stderr& operator=(const pipe_for_stderr&) = delete;

  /// Reads on another thread, to the end.
  void read() {
    reader_ = std::thread([this] {
      char bytes[4096];
      for (ssize_t n = 0; (n = ::read(read_, bytes, sizeof bytes)) > 0;) {
        text_.append(bytes, static_cast<std::size_t>(n));
        lines_ += std::count(bytes, bytes + n, '\n');
      }
    });
  }
  [[nodiscard]] std::ptrdiff_t lines_so_far() const noexcept { return lines_; }
  /// What was read; nobody may write any more.
  std::vector<std::string> lines() {
    give_back();
    if (!reader_.joinable()) read();
    reader_.join();
    std::vector<std::string> all;
    std::istringstream in{text_};
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }

 private:
  void give_back() {
    if (before_ < 0) return;
    ::dup2(before_, STDERR_FILENO);
    ::close(std::exchange(before_, -1));
  }

  int before_, read_ = -1;
  std::thread reader_;
  std::string text_;
  std::atomic<std::ptrdiff_t> lines_{0};
};

void number(log& out, std::int64_t i) { out(severity::info, "test.line", {{"n", i}}); }

/// The number behind `key=`, or -1.
std::int64_t value(const std::string& line, const std::string& key) {
  const auto at = line.find(key);
  return at == std::string::npos ? -1 : std::stoll(line.substr(at + key.size()));
}

}  // namespace

TEST_SUITE("service/logging") {
  TEST_CASE("the library's log writes from its least severity on") {
    const auto log = make_log(log_format::human, severity::warning);
    CHECK_FALSE(log->enabled(severity::debug));
    CHECK_FALSE(log->enabled(severity::info));
    CHECK(log->enabled(severity::warning));
    CHECK(log->enabled(severity::error));
  }

  TEST_CASE("destroying the log writes what is queued, in order") {
    pipe_for_stderr pipe;
    pipe.read();
    auto log = make_log();
    for (std::int64_t i = 0; i < 1'000; ++i) number(*log, i);
    CHECK(lines_lost(*log) == 0);
    log.reset();
    const auto lines = pipe.lines();
    REQUIRE(lines.size() == 1'000);
    for (std::int64_t i = 0; i < 1'000; ++i)
      CHECK(value(lines[static_cast<std::size_t>(i)], " INFO  test.line n=") == i);
  }

  TEST_CASE("a reader that stalls holds nobody up; what that costs is told when it reads again") {
    pipe_for_stderr pipe;
    auto log = make_log(log_format::human, severity::info);
    constexpr std::int64_t all = 10'000;
    for (std::int64_t i = 0; i < all; ++i) number(*log, i);
    const auto lost = static_cast<std::int64_t>(lines_lost(*log));
    CHECK(lost > all / 2);
    pipe.read();
    log.reset();
    std::int64_t last = -1, written = 0, told = 0;
    for (const auto& line : pipe.lines()) {
      if (const auto gap = value(line, " WARN  log.lines_lost lines="); gap > 0) {
        told += gap;
        continue;
      }
      const auto n = value(line, "test.line n=");
      CHECK(n > last);
      last = n;
      ++written;
    }
    CHECK(last == all - 1);  // the oldest are lost
    CHECK(written + told == all);
    CHECK(told == lost);
  }

  TEST_CASE("a reader that stalls for ever does not hold up the end for more than a second") {
    pipe_for_stderr pipe;
    auto log = make_log(log_format::json);
    for (std::int64_t i = 0; i < 200; ++i) number(*log, i);
    const auto begun = steady::now();
    log.reset();
    CHECK(steady::now() - begun < 10s);
    pipe.read();
    CHECK(
        test::eventually([&] { return pipe.lines_so_far() == 200; }));  // by the thread left behind
  }

  TEST_CASE("a standard error that somebody made non-blocking loses no line") {
    pipe_for_stderr pipe;
    ::fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    auto log = make_log();
    for (std::int64_t i = 0; i < 1'000; ++i) number(*log, i);
    pipe.read();
    log.reset();
    CHECK(pipe.lines().size() == 1'000);
  }
}

}  // namespace fairlead
