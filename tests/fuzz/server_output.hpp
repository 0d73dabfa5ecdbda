#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/utf8.hpp"
#include "tests/fuzz/input.hpp"

namespace fairlead::fuzz {

/// A strict reader of what the server writes: HTTP responses, and after a 101 frames. Whatever a client says, that must be
/// well formed (RFC 7230 3, RFC 6455 5), and nothing comes behind a Close frame or a response that is the last.
class server_output {
 public:
  struct frame {
    unsigned opcode;
    bool compressed;
    std::string payload;
  };

  /// `heads`: of the requests that were handled, in order, whether by HEAD. What was refused may have been one if
  /// `more_heads`.
  server_output(const std::deque<bool>& heads, bool more_heads, bool compression)
      : heads_(heads), more_heads_(more_heads), compression_(compression) {}

  void read(std::string_view bytes) {
    promise(!over_ || bytes.empty(), "nothing comes behind the last response or a Close frame");
    left_ += bytes;
    while (!over_ && (upgraded_ ? read_frame() : read_response())) continue;
    promise(!over_ || left_.empty(), "nothing comes behind the last response or a Close frame");
  }

  [[nodiscard]] bool upgraded() const noexcept { return upgraded_; }
  [[nodiscard]] bool closed() const noexcept { return upgraded_ && over_; }
  /// Whether it ends where a response or frame does.
  [[nodiscard]] bool whole() const noexcept {
    const bool no_body = !upgraded_ && more_heads_ && answered_ == heads_.size() &&
                         left_.find("\r\n\r\n") == left_.size() - 4;
    return left_.empty() || no_body;
  }
  [[nodiscard]] const std::vector<frame>& frames() const noexcept { return frames_; }

 private:
  // --- HTTP

  static constexpr std::string_view alert{"\x15\x03\x03\x00\x02\x02\x28", 7};

  bool read_response() {
    if (left_ == alert) return left_.clear(), over_ = true, false;
    const auto end = left_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const auto status = status_of(left_.substr(0, left_.find("\r\n")));
    const auto fields = fields_of(std::string_view(left_).substr(0, end + 2));
    if (status == 100 || status == 101) {
      left_.erase(0, end + 4);
      if (status == 101) check_upgrade(fields);
      return true;
    }
    // One more than there were requests to handle is a refusal, and the last.
    const bool refused = answered_ == heads_.size();
    const bool head = !refused && heads_[answered_];
    const auto length = number(find(fields, "content-length"));
    promise(length.has_value() || status == 204, "a response says how long it is");
    const auto body = head ? 0 : length.value_or(0);
    if (left_.size() < end + 4 + body) return false;
    left_.erase(0, end + 4 + body);
    answered_ += refused ? 0 : 1;
    over_ = refused || find(fields, "connection") == "close";
    promise(!refused || find(fields, "connection") != "keep-alive", "a refusal is the last");
    return true;
  }

  using field = std::pair<std::string, std::string>;

  static unsigned status_of(std::string_view line) {
    const bool good = line.size() >= 13 &&
                      (line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")) &&
                      line[12] == ' ';
    const auto status = good ? number(line.substr(9, 3)) : std::nullopt;
    promise(status && *status >= 100 && *status <= 599, "a response begins with a status line");
    return static_cast<unsigned>(*status);
  }
  /// The header without its first line, names in lower case.
  static std::vector<field> fields_of(std::string_view header) {
    std::vector<field> all;
    header.remove_prefix(header.find("\r\n") + 2);
    while (!header.empty()) {
      const auto line = header.substr(0, header.find("\r\n"));
      header.remove_prefix(line.size() + 2);
      const auto colon = line.find(": ");
      promise(colon != std::string_view::npos && colon > 0 &&
                  line.find_first_of("\r\n") == std::string_view::npos,
              "a header field is a name and a value");
      std::string name(line.substr(0, colon));
      std::ranges::transform(name, name.begin(),
                             [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
      all.emplace_back(std::move(name), line.substr(colon + 2));
    }
    return all;
  }
  static std::string find(const std::vector<field>& fields, std::string_view name) {
    for (const auto& [key, value] : fields)
      if (key == name) return value;
    return {};
  }
  static std::optional<std::size_t> number(std::string_view text) {
    std::size_t n = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || failed != std::errc{} || end != text.data() + text.size())
      return std::nullopt;
    return n;
  }
  void check_upgrade(const std::vector<field>& fields) {
    upgraded_ = true;
    promise(find(fields, "sec-websocket-accept").size() == 28, "20 bytes in base64");
    promise(compression_ || find(fields, "sec-websocket-extensions").empty(),
            "no extension that is off");
    agreed_ = !find(fields, "sec-websocket-extensions").empty();
  }

  // --- frames

  bool read_frame() {
    if (left_.size() < 2) return false;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(left_[i]); };
    std::size_t length = byte(1), header = 2;
    promise(length < 128, "a server does not mask (RFC 6455 5.1)");
    if (length >= 126) {
      header = length == 126 ? 4 : 10;
      if (left_.size() < header) return false;
      length = 0;
      for (std::size_t i = 2; i < header; ++i) length = length << 8U | byte(i);
      promise(length >= (header == 4 ? 126U : 65'536U), "the shortest form (RFC 6455 5.2)");
    }
    check_first(byte(0), length);
    if (left_.size() < header + length) return false;
    frames_.push_back({byte(0) & 15U, (byte(0) & 0x40U) != 0, left_.substr(header, length)});
    left_.erase(0, header + length);
    if (frames_.back().opcode == 8) check_close(frames_.back().payload);
    return true;
  }
  void check_first(unsigned first, std::size_t length) const {
    const unsigned opcode = first & 15U;
    const bool data = opcode == 1 || opcode == 2;
    promise(data || (opcode >= 8 && opcode <= 10), "an opcode that there is");
    promise((first & 0x80U) != 0, "the server does not fragment");
    promise((first & 0x30U) == 0 && ((first & 0x40U) == 0 || (agreed_ && data)), "reserved bits");
    promise(data || length <= 125, "a control frame is short (RFC 6455 5.5)");
  }
  void check_close(std::string_view payload) {
    over_ = true;
    promise(payload.size() != 1, "a code has two bytes");
    if (payload.empty()) return;
    const unsigned code =
        static_cast<unsigned char>(payload[0]) * 256U + static_cast<unsigned char>(payload[1]);
    promise((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1013) ||
                (code >= 3000 && code <= 4999),
            "a code that may be sent (RFC 6455 7.4)");
    promise(protocol::valid_utf8(payload.substr(2)), "a reason is UTF-8");
  }

  const std::deque<bool>& heads_;
  const bool more_heads_;
  const bool compression_;
  std::string left_;
  std::vector<frame> frames_;
  std::size_t answered_ = 0;
  bool upgraded_ = false, agreed_ = false, over_ = false;
};

}  // namespace fairlead::fuzz
