#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <fairlead/message.hpp>
#include <fairlead/result.hpp>

namespace fairlead::protocol {

/// Where the outcome of a send goes, once for each connection it addressed. Null where nobody asked.
class receipt_sink {
 public:
  virtual ~receipt_sink() = default;
  virtual void settle(send_result) noexcept = 0;
};
using receipt = std::shared_ptr<receipt_sink>;

/// One or more whole server frames, contiguous and shared: what travels from a sender to the wire.
/// A receipt belongs to the whole chunk: it is settled once, when the last byte is written or the chunk is refused.
struct chunk {
  std::shared_ptr<const char[]> storage;
  std::uint32_t size = 0;    ///< bytes, headers included
  std::uint32_t frames = 1;  ///< messages in it
  receipt asked;

  [[nodiscard]] std::string_view view() const noexcept { return {storage.get(), size}; }
};

[[nodiscard]] inline chunk as_chunk(const message& m, receipt asked = {}) {
  return {m.storage(), static_cast<std::uint32_t>(m.frame().size()), 1, std::move(asked)};
}

}  // namespace fairlead::protocol
