#include <cerrno>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include <poll.h>
#include <pthread.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/sink.h>
#include <unistd.h>

#include <fairlead/logging.hpp>

#include "net/signals_blocked.hpp"
#include "service/log_line.hpp"

namespace fairlead {
namespace {

using spdlog::details::thread_pool;

// Some 400 bytes each, from the start; a line that is longer than 250 bytes has more while it waits.
constexpr std::size_t lines_that_wait = 4096;
// The end waits for no reader that has stopped to read.
constexpr std::chrono::seconds longest_end{1};

spdlog::level::level_enum level_of(severity s) noexcept {
  switch (s) {
  case severity::debug: return spdlog::level::debug;
  case severity::info: return spdlog::level::info;
  case severity::warning: return spdlog::level::warn;
  case severity::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string line_of(log_format format, severity s, std::string_view event,
                    std::span<const log_field> fields) {
  const auto now = std::chrono::system_clock::now();
  return format == log_format::json ? service::json_line(now, s, event, fields)
                                    : service::human_line(now, s, event, fields);
}

/// By write(2) itself: a thread that is stuck in stdio would hold its lock, which exit(3) and `std::cerr` want too.
void write_to_stderr(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const auto written = ::write(STDERR_FILENO, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {  // somebody who shares it has made it non-blocking
      pollfd room{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return;  // nobody will ever read it
    }
  }
}

/// On the pool's thread: writes lines as they are; before one that follows a gap, how many are lost there.
class stderr_sink final : public spdlog::sinks::sink {
 public:
  stderr_sink(log_format format, thread_pool& from) : format_(format), from_(from) {}

  void log(const spdlog::details::log_msg& line) override {
    if (const std::uint64_t lost = from_.overrun_counter(); lost > told_) {
      const log_field lines[] = {{"lines", lost - told_}};
      told_ = lost;
      write_to_stderr(line_of(format_, severity::warning, "log.lines_lost", lines) + '\n');
    }
    out_.assign(line.payload.data(), line.payload.size());
    write_to_stderr(out_ += '\n');
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  const log_format format_;
  thread_pool& from_;
  std::uint64_t told_ = 0;
  std::string out_;
};

std::shared_ptr<thread_pool> start_pool() {
  const net::signals_blocked in_this_scope;
  return std::make_shared<thread_pool>(lines_that_wait, 1,
                                       [] { pthread_setname_np(pthread_self(), "fairlead-log"); });
}

/// spdlog queues the lines of many threads and writes them on one of its own; the lines themselves are ours.
class stderr_log final : public log {
 public:
  stderr_log(log_format format, severity least)
      : format_(format),
        pool_(start_pool()),
        out_(std::make_shared<spdlog::async_logger>(
            "fairlead", std::make_shared<stderr_sink>(format, *pool_), pool_,
            spdlog::async_overflow_policy::overrun_oldest)) {
    out_->set_level(level_of(least));
    // spdlog's own handler would write to standard error itself.
    out_->set_error_handler([](const std::string&) {});
  }

  /// The pool's end writes what waits, however long that takes: on a thread that can be left behind.
  ~stderr_log() override {
    try {
      std::packaged_task<void()> end{[pool = std::move(pool_)]() mutable { pool.reset(); }};
      const auto ended = end.get_future();
      std::thread ending{std::move(end)};
      if (ended.wait_for(longest_end) == std::future_status::ready)
        ending.join();
      else
        ending.detach();
    } catch (...) {  // no thread to be had, or no memory: the pool has ended on this one
    }
  }

  void set_least(severity least) noexcept { out_->set_level(level_of(least)); }
  std::uint64_t lost() const noexcept { return pool_->overrun_counter(); }
  bool enabled(severity s) const noexcept override { return out_->should_log(level_of(s)); }

  void write(severity s, std::string_view event,
             std::span<const log_field> fields) noexcept override {
    try {
      const auto line = line_of(format_, s, event, fields);
      out_->log(level_of(s), spdlog::string_view_t{line.data(), line.size()});
    } catch (...) {  // out of memory: the line is lost, the server is not
    }
  }

 private:
  const log_format format_;
  std::shared_ptr<thread_pool> pool_;
  const std::shared_ptr<spdlog::async_logger> out_;
};

}  // namespace

std::shared_ptr<log> make_log(log_format format, severity least) {
  return std::make_shared<stderr_log>(format, least);
}

void set_least_severity(log& sink, severity least) noexcept {
  if (auto* ours = dynamic_cast<stderr_log*>(&sink)) ours->set_least(least);
}

std::uint64_t lines_lost(const log& sink) noexcept {
  const auto* ours = dynamic_cast<const stderr_log*>(&sink);
  return ours ? ours->lost() : 0;
}

}  // namespace fairlead
