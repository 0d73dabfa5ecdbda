#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include <fairlead/message.hpp>
#include <fairlead/result.hpp>

#include "protocol/send_terms.hpp"

namespace fairlead::protocol {

/// Where the outcome of a send goes, once for each connection it addressed, and on what terms it was sent. Null where
/// nobody asked for either.
class receipt_sink {
 public:
  explicit receipt_sink(terms_ptr terms = {}) noexcept : terms_(std::move(terms)) {}
  virtual ~receipt_sink() = default;
  virtual void settle(send_result) noexcept = 0;
  [[nodiscard]] const send_terms* terms() const noexcept { return terms_.get(); }

 private:
  terms_ptr terms_;
};
using receipt = std::shared_ptr<receipt_sink>;

/// One or more whole server frames, contiguous and shared: what travels from a sender to the wire.
/// A receipt belongs to the whole chunk: it is settled once, when the last byte is written or the chunk is refused.
struct chunk {
  std::shared_ptr<const char[]> storage;
  std::uint32_t size = 0;    ///< bytes, headers included
  std::uint16_t frames = 1;  ///< messages in it
  std::uint16_t tag = 0;     ///< that of its terms; 0: ordinary. Here, so that a search finds a key
  receipt asked;

  [[nodiscard]] std::string_view view() const noexcept { return {storage.get(), size}; }
  /// Null for an ordinary one. Lives as long as the receipt.
  [[nodiscard]] const send_terms* terms() const noexcept {
    return tag == 0 ? nullptr : asked->terms();
  }
};
inline constexpr std::size_t most_frames = std::numeric_limits<std::uint16_t>::max();

/// What has left a queue: what the kernel took, or what was taken back.
struct progress {
  std::uint32_t messages = 0;  ///< data frames, written to their last byte or not begun
  std::size_t bytes = 0;       ///< of those frames, headers included
};

[[nodiscard]] inline chunk as_chunk(const message& m, receipt asked = {}) {
  const auto* const terms = asked ? asked->terms() : nullptr;
  const auto tag = terms ? terms->tag : std::uint16_t{0};
  return {m.storage(), static_cast<std::uint32_t>(m.frame().size()), 1, tag, std::move(asked)};
}

}  // namespace fairlead::protocol
