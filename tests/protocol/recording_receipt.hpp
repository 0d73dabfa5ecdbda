#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/chunk.hpp"

namespace fairlead::protocol::test {

/// Remembers what it was told, and may do something about it while it is told.
class recording_receipt : public receipt_sink {
 public:
  using receipt_sink::receipt_sink;
  std::vector<send_result> told;
  std::function<void()> then;

  void settle(send_result result) noexcept override {
    told.push_back(result);
    // A copy: what it does may destroy this.
    if (auto now = then) now();
  }
};

/// A text message as a chunk, with a receipt that the test keeps.
inline std::pair<chunk, std::shared_ptr<recording_receipt>> with_receipt(std::string_view text) {
  auto asked = std::make_shared<recording_receipt>();
  return {as_chunk(message::text(text), asked), asked};
}

inline chunk text_chunk(std::string_view text) { return as_chunk(message::text(text)); }

/// Several messages as one run of frames.
inline chunk run_of(std::initializer_list<std::string_view> texts, receipt asked = {}) {
  std::string bytes;
  for (const auto text : texts) bytes += message::text(text).frame();
  auto storage = std::make_shared<char[]>(bytes.size());
  bytes.copy(storage.get(), bytes.size());
  const auto tag = asked && asked->terms() ? asked->terms()->tag : std::uint16_t{0};
  return {std::move(storage), static_cast<std::uint32_t>(bytes.size()),
          static_cast<std::uint16_t>(texts.size()), tag, std::move(asked)};
}

}  // namespace fairlead::protocol::test
