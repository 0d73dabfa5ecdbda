#pragma once

#include <cstdint>
#include <string_view>

namespace fairlead::protocol {

/// Counts the frames in what a client sends, as its bytes come, however they are cut up. It looks at lengths and
/// opcodes alone; what breaks the protocol is for others to find, and what it counts after that means nothing.
class frame_meter {
 public:
  struct reading {
    std::uint32_t frames = 0;  ///< that begin in these bytes, control frames included
    bool too_many_fragments =
        false;  ///< a message before any Close has more frames than it may (RFC 6455 5.4), here or earlier
  };
  /// The next bytes of the stream.
  [[nodiscard]] reading read(std::string_view bytes, std::uint32_t max_fragments) noexcept;
  /// A 64-bit length came whose highest bit is set, which must be 0 (RFC 6455 5.2).
  [[nodiscard]] bool impossible_length() const noexcept { return impossible_length_; }

 private:
  enum class part : std::uint8_t { opcode, short_length, length, payload };

  void begin(unsigned char first, std::uint32_t max_fragments) noexcept;
  void take_length(unsigned char second) noexcept;

  std::uint64_t left_ = 0;       // of mask and payload
  std::uint32_t fragments_ = 0;  // frames of the message being read
  part part_ = part::opcode;
  std::uint8_t length_bytes_ = 0;  // that are still to come
  bool too_many_ = false;
  bool over_ = false;  // a Close has come
  bool impossible_length_ = false;
};

}  // namespace fairlead::protocol
