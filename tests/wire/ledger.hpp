#pragma once

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fairlead/message.hpp>
#include <fairlead/result.hpp>

/// What was sent, and every answer that came to it: also the second one, which must not come.
namespace fairlead::test {

enum class route : std::uint8_t {
  handle,
  id,
  user,
  all,
  farewell,  ///< by the thread that closes: the first before its close, the second after it
};
inline constexpr std::size_t route_count = 5;

/// Names one send; it is the payload, so that what a peer received can be looked up.
struct send_key {
  route by = route::handle;
  std::size_t target = 0;  ///< which connection, or which user; 0 for all
  std::size_t serial = 0;  ///< in the sender's order

  [[nodiscard]] std::string text() const {
    return "hiuaf"[static_cast<std::size_t>(by)] + std::to_string(target) + ' ' +
           std::to_string(serial);
  }
  static std::optional<send_key> parse(std::string_view text) {
    const auto by = std::string_view{"hiuaf"}.find(text.empty() ? '?' : text[0]);
    const auto* const end = text.data() + text.size();
    send_key key;
    if (by == std::string_view::npos) return std::nullopt;
    key.by = static_cast<route>(by);
    const auto target = std::from_chars(text.data() + 1, end, key.target);
    if (target.ec != std::errc{} || target.ptr == end) return std::nullopt;
    const auto serial = std::from_chars(target.ptr + 1, end, key.serial);
    return serial.ec == std::errc{} && serial.ptr == end ? std::optional{key} : std::nullopt;
  }
};

/// One send's outcome. A send to one connection is a broadcast to one.
struct receipt {
  bool sent = false;                  ///< written by the sender alone, as is `bytes`
  std::weak_ptr<const char[]> bytes;  ///< whether any queue still holds them
  std::atomic<unsigned> answers{0};   ///< counted last: what is below is complete then
  std::atomic<std::uint64_t> written{0}, addressed{0};
  std::atomic<send_result> met{send_result::written};  ///< of a send to one connection

  void settle(std::uint64_t how_many_written, std::uint64_t of) {
    written += how_many_written;
    addressed += of;
    ++answers;
  }
};

class ledger {
 public:
  ledger(std::size_t targets, std::size_t serials)
      : targets_(targets), serials_(serials), receipts_(route_count * targets * serials) {}

  [[nodiscard]] bool has(const send_key& k) const {
    return k.target < targets_ && k.serial < serials_;
  }
  receipt& at(const send_key& k) {
    return receipts_[(static_cast<std::size_t>(k.by) * targets_ + k.target) * serials_ + k.serial];
  }
  /// Makes the message and notes that it is about to be sent.
  message note(const send_key& k) {
    auto what = message::text(k.text());
    auto& r = at(k);
    r.sent = true;
    r.bytes = what.storage();
    return what;
  }

  [[nodiscard]] std::size_t sent() const {
    return count([](const receipt& r) { return r.sent; });
  }
  [[nodiscard]] std::size_t answered_once() const {
    return count([](const receipt& r) { return r.sent && r.answers == 1; });
  }
  [[nodiscard]] std::size_t answered_wrongly() const {
    return count([](const receipt& r) { return r.answers != (r.sent ? 1 : 0); });
  }
  [[nodiscard]] std::size_t still_held() const {
    return count([](const receipt& r) { return !r.bytes.expired(); });
  }
  [[nodiscard]] std::size_t total_written() const {
    std::size_t sum = 0;
    for (const auto& r : receipts_) sum += r.written;
    return sum;
  }

 private:
  template <class Condition>
  std::size_t count(Condition&& condition) const {
    return static_cast<std::size_t>(std::ranges::count_if(receipts_, condition));
  }

  std::size_t targets_, serials_;
  std::vector<receipt> receipts_;
};

}  // namespace fairlead::test
