#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <variant>

namespace fairlead {

enum class severity : std::uint8_t { debug, info, warning, error };
[[nodiscard]] std::string_view to_string(severity) noexcept;

/// One `key=value` of a log line. Views are valid during the call only.
struct log_field {
  std::string_view key;
  std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view> value;
};

/// Where log lines go: a stable event name, then fields. Called from any of the server's threads at once; must not
/// throw or block for long. `fairlead/logging.hpp` has one that writes by spdlog.
class log {
 public:
  virtual ~log() = default;
  [[nodiscard]] virtual bool enabled(severity) const noexcept = 0;
  virtual void write(severity, std::string_view event, std::span<const log_field>) noexcept = 0;

  void operator()(severity s, std::string_view event,
                  std::initializer_list<log_field> fields) noexcept {
    if (enabled(s)) write(s, event, {fields.begin(), fields.size()});
  }
};

}  // namespace fairlead
