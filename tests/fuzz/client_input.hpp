#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <zlib.h>

#include <fairlead/message.hpp>

#include "protocol/utf8.hpp"

namespace fairlead::fuzz {

/// What the bytes that a client sends behind its upgrade request mean: read slowly, from all of them at once, and by none of
/// the server's own code but its check of UTF-8, which has tests of its own.
class client_input {
 public:
  struct received {
    message_kind kind;
    std::string payload;
    friend bool operator==(const received&, const received&) = default;
  };

  client_input(std::string_view bytes, bool deflate, std::size_t most, std::size_t most_fragments)
      : deflate_(deflate), most_(most), most_fragments_(most_fragments), left_(bytes) {
    while (!violation_ && !close_ && read_frame()) continue;
  }

  [[nodiscard]] const std::vector<received>& messages() const noexcept { return messages_; }
  [[nodiscard]] const std::vector<std::string>& pings() const noexcept { return pings_; }
  /// The code of the first thing that is wrong.
  [[nodiscard]] std::optional<unsigned> violation() const noexcept { return violation_; }
  /// The code of a good Close frame: nothing behind it counts. 1005: it has none.
  [[nodiscard]] std::optional<unsigned> close() const noexcept { return close_; }
  /// Some message has more frames than it may. That is seen as soon as the bytes are there, before what came with them has
  /// been handled: what is told of before it depends on the cuts.
  [[nodiscard]] bool too_many_fragments() const noexcept { return too_many_; }

 private:
  [[nodiscard]] unsigned at(std::size_t i) const { return static_cast<unsigned char>(left_[i]); }
  [[nodiscard]] std::size_t header_size() const {
    const unsigned length = at(1) & 127U;
    return 2U + (length == 126 ? 2U : length == 127 ? 8U : 0U) + ((at(1) & 128U) != 0 ? 4U : 0U);
  }
  bool violate(unsigned code) { return violation_ = code, false; }

  bool read_frame() {
    // A header is judged when it has come, whatever is clear earlier.
    if (left_.size() < 2 || left_.size() < header_size()) return false;
    const unsigned first = at(0), opcode = first & 15U;
    const bool fin = (first & 0x80U) != 0, control = opcode >= 8;
    const bool compressed = deflate_ && (first & 0x40U) != 0 && (opcode == 1 || opcode == 2);
    if ((first & 0x30U) != 0 || ((first & 0x40U) != 0 && !compressed)) return violate(1002);
    if ((opcode > 2 && !control) || opcode > 10) return violate(1002);
    if (control ? !fin || (at(1) & 127U) > 125 : (opcode == 0) != in_message_) return violate(1002);
    if ((at(1) & 0x80U) == 0) return violate(1002);
    std::size_t header = 2;
    std::uint64_t length = at(1) & 127U;
    if (length >= 126) {
      header = length == 126 ? 4 : 10;
      length = 0;
      for (std::size_t i = 2; i < header; ++i) length = length << 8U | at(i);
      if (length < (header == 4 ? 126U : 65'536U) || length >> 63U != 0) return violate(1002);
    }
    if (!control && !begin(opcode, compressed, length)) return false;
    if (left_.size() < header + 4 + length) return read_partly(control, header);
    std::string payload(left_.substr(header + 4, length));
    unmask(payload, left_.substr(header, 4));
    left_.remove_prefix(header + 4 + length);
    return control ? read_control(opcode, payload) : read_data(payload, fin);
  }

  static void unmask(std::string& payload, std::string_view key) {
    for (std::size_t i = 0; i < payload.size(); ++i)
      payload[i] = static_cast<char>(payload[i] ^ key[i % 4]);
  }

  bool begin(unsigned opcode, bool compressed, std::uint64_t length) {
    if (opcode != 0) {
      text_ = opcode == 1;
      compressed_ = compressed;
      payload_.clear();
      fragments_ = 0;
      in_message_ = true;
    }
    if (++fragments_ > most_fragments_) too_many_ = true;
    // What is compressed may be a little larger than what it is inflated to.
    const std::size_t most = deflate_ ? most_ + most_ / 1024 + 64 : most_;
    return length <= most - payload_.size() || violate(1009);
  }

  /// The end of the bytes is within a frame: text may be wrong all the same.
  bool read_partly(bool control, std::size_t header) {
    if (control || compressed_ || !text_ || left_.size() < header + 4) return false;
    std::string payload(left_.substr(header + 4));
    unmask(payload, left_.substr(header, 4));
    return could_be_utf8(payload_ + payload) ? false : violate(1007);
  }

  /// Whether some more bytes could make it UTF-8.
  static bool could_be_utf8(std::string_view text) {
    static constexpr std::string_view ends[] = {"",     "\x80",     "\x80\x80",    "\x80\x80\x80",
                                                "\xbf", "\xbf\x80", "\xbf\x80\x80"};
    for (const auto end : ends)
      if (protocol::valid_utf8(std::string(text).append(end))) return true;
    return false;
  }

  bool read_data(std::string_view payload, bool fin) {
    payload_ += payload;
    const bool plain_text = text_ && !compressed_;
    if (plain_text && !(fin ? protocol::valid_utf8(payload_) : could_be_utf8(payload_)))
      return violate(1007);
    if (!fin) return true;
    in_message_ = false;
    if (compressed_ && !inflate()) return false;
    if (payload_.size() > most_) return violate(1009);
    if (text_ && !protocol::valid_utf8(payload_)) return violate(1007);
    messages_.push_back({text_ ? message_kind::text : message_kind::binary, payload_});
    return true;
  }

  bool inflate() {
    if (payload_.empty()) return true;
    payload_.append("\x00\x00\xff\xff", 4);
    z_stream z{};
    if (inflateInit2(&z, -15) != Z_OK) return false;
    std::string out(most_ + 1, '\0');
    z.next_in = reinterpret_cast<Bytef*>(payload_.data());
    z.avail_in = static_cast<uInt>(payload_.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    int result = Z_OK;
    while (z.avail_in > 0 && z.avail_out > 0 && result == Z_OK) {
      result = ::inflate(&z, Z_NO_FLUSH);
      if (result != Z_STREAM_END) continue;
      const z_stream before = z;
      result = ::inflateReset(&z);  // another stream may follow (RFC 7692 7.2.3.4)
      z.next_in = before.next_in;
      z.avail_in = before.avail_in;
    }
    const bool full = z.avail_out == 0;
    const bool between_blocks = (z.data_type & 128) != 0;
    out.resize(out.size() - z.avail_out);
    ::inflateEnd(&z);
    if (!full && ((result != Z_OK && result != Z_BUF_ERROR) || !between_blocks))
      return violate(1007);
    payload_ = std::move(out);
    return true;
  }

  bool read_control(unsigned opcode, const std::string& payload) {
    if (opcode == 9) pings_.push_back(payload);
    if (opcode != 8) return true;
    if (payload.size() == 1) return violate(1002);
    if (payload.empty()) return close_ = 1005, false;
    const unsigned code =
        static_cast<unsigned char>(payload[0]) * 256U + static_cast<unsigned char>(payload[1]);
    const bool known = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1013) ||
                       (code >= 3000 && code <= 4999);
    // Where both are wrong, either may be told: what no range has is looked at after the reason.
    const bool readable = protocol::valid_utf8(payload.substr(2));
    if (!known && (code < 5000 || readable)) return violate(1002);
    if (!readable) return violate(1007);
    return close_ = code, false;
  }

  const bool deflate_;
  const std::size_t most_, most_fragments_;
  std::string_view left_;
  std::string payload_;
  std::size_t fragments_ = 0;
  bool in_message_ = false, text_ = false, compressed_ = false;
  bool too_many_ = false;
  std::vector<received> messages_;
  std::vector<std::string> pings_;
  std::optional<unsigned> violation_, close_;
};

}  // namespace fairlead::fuzz
