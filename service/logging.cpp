#include <cstdio>
#include <utility>

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <fairlead/logging.hpp>

#include "service/log_line.hpp"

namespace fairlead {
namespace {

spdlog::level::level_enum level_of(severity s) noexcept {
  switch (s) {
  case severity::debug: return spdlog::level::debug;
  case severity::info: return spdlog::level::info;
  case severity::warning: return spdlog::level::warn;
  case severity::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

/// spdlog keeps the lines of many threads apart and writes them; the lines themselves are ours.
class stderr_log final : public log {
 public:
  stderr_log(log_format format, severity least)
      : format_(format), out_("fairlead", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    out_.set_pattern("%v");
    out_.set_level(level_of(least));
    out_.flush_on(spdlog::level::trace);
    // spdlog's own handler would write about a broken standard error to standard error.
    out_.set_error_handler([](const std::string&) {});
  }

  void set_least(severity least) noexcept { out_.set_level(level_of(least)); }
  bool enabled(severity s) const noexcept override { return out_.should_log(level_of(s)); }

  void write(severity s, std::string_view event,
             std::span<const log_field> fields) noexcept override {
    try {
      const auto now = std::chrono::system_clock::now();
      const auto line = format_ == log_format::json ? service::json_line(now, s, event, fields)
                                                    : service::human_line(now, s, event, fields);
      out_.log(level_of(s), spdlog::string_view_t{line.data(), line.size()});
    } catch (...) {  // out of memory: the line is lost, the server is not
    }
  }

 private:
  log_format format_;
  spdlog::logger out_;
};

}  // namespace

std::shared_ptr<log> make_log(log_format format, severity least) {
  return std::make_shared<stderr_log>(format, least);
}

void set_least_severity(log& sink, severity least) noexcept {
  if (auto* ours = dynamic_cast<stderr_log*>(&sink)) ours->set_least(least);
}

}  // namespace fairlead
