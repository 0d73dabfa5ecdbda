#pragma once

#include <array>
#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/wire/ledger.hpp"
#include "tests/wire/live_server.hpp"
#include "tests/wire/peers.hpp"
#include "tests/wire/process.hpp"

namespace fairlead::test {

/// Sixteen connections at once. Three threads send to them by every way there is, a fourth closes them, the clients
/// end theirs in ways of their own; then all that was sent, received and answered is compared. race_test.cpp has it all.
class race_round : public std::enable_shared_from_this<race_round> {
 public:
  static constexpr std::size_t width = 16, users = width / 2, sends = 8;

  /// `clean`: no client resets or leaves, so that every byte that was written is read.
  race_round(live_server& server, std::uint32_t seed, bool clean)
      : server_(server), seed_(seed), clean_(clean) {}

  void run() {
    connect();
    {
      std::jthread reader{[this] { all_ended_ = read_to_the_end(peers_); }};
      {
        const auto in_step = [this](auto what) {
          return std::jthread{[this, what] {
            start_.arrive_and_wait();
            (this->*what)();
          }};
        };
        const std::array<std::jthread, 4> threads{
            in_step(&race_round::send_by_handle), in_step(&race_round::send_by_id),
            in_step(&race_round::send_to_many), in_step(&race_round::close_some)};
      }
      for (std::size_t i = 0; i < width; ++i) ask_remove(i, final_ask, 4003);
    }
    await_answers();
    compare();
  }

  /// What was not as promised; empty if all was.
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }
  [[nodiscard]] const std::vector<connection>& handles() const { return handles_; }
  [[nodiscard]] ledger& book() { return book_; }
  /// Connections whose end came between two sends.
  [[nodiscard]] std::size_t cut_short();
  [[nodiscard]] std::size_t received() const { return received_; }

 private:
  /// One request to close.
  struct close_ask {
    bool asked = false;
    std::atomic<unsigned> answers{0}, initiated{0};
  };
  enum ask_kind : std::size_t { by_handle, by_id, by_user, final_ask, ask_kinds };

  void connect();
  void send_by_handle();
  void send_by_id();
  void send_to_many();
  void close_some();
  void send_one(const send_key&, std::size_t line);
  void await_pass(route, std::size_t serial);
  void ask_close_by_handle(std::size_t line);
  void ask_remove(std::size_t line, ask_kind, unsigned code);
  void ask_close_user(std::size_t user);
  void await_answers();

  void compare();
  void compare_frames(std::size_t line);
  void compare_direct(std::size_t line);
  void compare_broadcasts();
  void compare_close(std::size_t line);
  void compare_end(std::size_t line);
  void complain(std::size_t line, const std::string& what);
  bool got(std::size_t line, const send_key& k) const { return got_[line][index(k)]; }
  static std::size_t index(const send_key& k) {
    return (static_cast<std::size_t>(k.by) * width + k.target) * sends + k.serial;
  }

  live_server& server_;
  std::uint32_t seed_;
  bool clean_;
  bool paced_ =
      seed_ / 2 % 4 != 0;  ///< each pass of sends waits for the outcomes of the one before
  std::vector<connection> handles_;
  std::vector<peer> peers_;
  ledger book_{width, sends};
  std::array<std::array<close_ask, ask_kinds>, width> asks_;
  std::latch start_{4};
  std::atomic<std::size_t> progress_{0};  ///< of the sender by handle
  bool all_ended_ = false;
  std::array<std::vector<bool>, width> got_;
  std::size_t received_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace fairlead::test
