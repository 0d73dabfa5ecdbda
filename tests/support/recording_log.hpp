#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fairlead/log.hpp>

namespace fairlead::test {

/// Keeps log lines as `event key=value ...`. One thread.
class recording_log final : public log {
 public:
  struct line {
    severity level;
    std::string event;
    std::string text;
  };
  bool enabled(severity) const noexcept override { return true; }
  void write(severity level, std::string_view event,
             std::span<const log_field> fields) noexcept override {
    line l{level, std::string{event}, std::string{event}};
    for (const auto& f : fields) {
      l.text += ' ' + std::string{f.key} + '=';
      std::visit([&](const auto& v) { l.text += text_of(v); }, f.value);
    }
    lines.push_back(std::move(l));
  }
  [[nodiscard]] std::size_t count(std::string_view event) const {
    return static_cast<std::size_t>(std::ranges::count(lines, event, &line::event));
  }
  /// Lines of this event with this in their text.
  [[nodiscard]] std::size_t count(std::string_view event, std::string_view part) const {
    return static_cast<std::size_t>(std::ranges::count_if(lines, [&](const line& l) {
      return l.event == event && l.text.find(part) != std::string::npos;
    }));
  }
  [[nodiscard]] bool has(severity level) const {
    return std::ranges::find(lines, level, &line::level) != lines.end();
  }
  std::vector<line> lines;

 private:
  template <class Value>
  static std::string text_of(const Value& v) {
    if constexpr (std::is_same_v<Value, std::string_view>)
      return std::string{v};
    else
      return std::to_string(v);
  }
};

}  // namespace fairlead::test
