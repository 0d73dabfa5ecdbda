#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/machine.hpp"
#include "protocol/wire.hpp"
#include "tests/protocol/recording_receipt.hpp"

namespace fairlead::protocol::test {

/// The machine and the wire put together as an actor and a link do it, over a kernel that takes as many bytes as it
/// likes. Its functions are what can happen to a connection; each checks what must hold after it.
class simulated_connection {
 public:
  struct attempt {
    std::shared_ptr<recording_receipt> asked;
    std::string bytes;
    [[nodiscard]] bool settled() const { return !asked->told.empty(); }
  };

  explicit simulated_connection(const limits& bounds) : bounds_(bounds) {}

  // --- the application

  void send(std::initializer_list<std::string_view> texts, const send_options& how = {}) {
    auto asked = std::make_shared<recording_receipt>(make_terms(how, now_));
    auto what = run_of(texts, asked);
    attempts_.push_back({asked, std::string(what.view())});
    happen(protocol::send{std::move(what)});
  }
  void ask_close(close_code code, std::string reason) {
    ++asked_;
    happen(protocol::ask_close{code, std::move(reason), initiator::application});
  }
  void admit() { happen(admitted{}); }
  void pass(std::chrono::milliseconds time) {
    now_ += time;
    if (now_ >= deadline_of(state_)) happen(deadline_passed{});
    auto next = time_point::max();
    took_back(wire_.drop_expired(now_, next));
    REQUIRE(next > now_);
  }

  // --- the link

  void complete_handshake() {
    if (std::exchange(upgraded_, true)) return;
    wire_.push_raw(response);
    wire_.handshake_done();
    happen(upgraded{});
  }
  /// The transport answers a Close inside its read; the actor hears of it later, or never.
  void transport_reads_close() {
    if (!upgraded_) return;
    wire_.push_raw(std::string_view("\x88\x02\x03\xe8", 4));
    untold_close_ = true;
  }
  void transport_tells() {
    if (std::exchange(untold_close_, false)) happen(peer_closed{close_code::normal, "theirs"});
  }
  void violate() {
    if (!upgraded_) return;
    wire_.push_raw(std::string_view("\x88\x02\x03\xea", 4));
    happen(violated{close_code::protocol_error, "broken"});
  }
  void pong() {
    if (upgraded_) wire_.push_raw(std::string_view("\x8a\x01p", 3));
  }
  void receive() { happen(received{message::text("inbound")}); }
  void fail() { happen(link_failed{std::make_error_code(std::errc::connection_reset), "reset"}); }
  void end_handshake() {
    if (wire_.sealed() && wire_.empty()) happen(link_closed{});
  }
  /// The kernel takes up to `room` bytes, of up to `most` buffers.
  void flush(std::size_t room, std::size_t most) {
    std::array<std::string_view, 8> buffers;
    const auto count = wire_.gather(std::span(buffers).first(std::min(most, buffers.size())));
    std::string taken;
    for (std::size_t i = 0; i < count; ++i) taken += buffers[i];
    taken.resize(std::min(taken.size(), room));
    stream_ += taken;
    const auto made = wire_.consume(taken.size());
    if (made.messages > 0) happen(written{made.messages, made.bytes});
  }

  // --- the end

  [[nodiscard]] bool over() const { return kind_of(state_) >= connection_state::closed; }

  void check_whole_life() {
    wire_.abandon();
    REQUIRE(answered_ == asked_);
    REQUIRE(reported_ == (over() ? 1 : 0));
    for (const auto& a : attempts_) REQUIRE(a.asked->told.size() == 1);
    check_stream();
  }

  static constexpr std::size_t raw_bytes = 4096;  // more than a life's pongs, response and Close
  static constexpr std::string_view response = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

 private:
  template <class Event>
  void happen(Event event) {
    const bool was_over = over();
    const auto before = kind_of(state_);
    effects_.clear();
    step(state_, std::move(event), bounds_, now_, effects_);
    if (was_over) REQUIRE(kind_of(state_) == before);
    for (auto& e : std::exchange(effects_, {}))
      std::visit([this](auto& what) { this->carry_out(what); }, e);
    if (const auto* queue = std::get_if<open>(&state_)) {
      REQUIRE(queue->queued_messages <= bounds_.max_queued_messages);
      REQUIRE(queue->queued_bytes <= bounds_.max_queued_bytes);
    }
    REQUIRE(pending() <= bounds_.max_queued_messages);
    REQUIRE(wire_.queued_bytes() <= bounds_.max_queued_bytes + raw_bytes);
    check_pending();
  }
  void took_back(progress gone) {
    if (gone.messages > 0) happen(written{gone.messages, gone.bytes});
  }

  void carry_out(announce_open&) { REQUIRE(kind_of(state_) == connection_state::open); }
  void carry_out(protocol::write& what) {
    REQUIRE_FALSE(close_sent_);
    if (!wire_.push(std::move(what.what))) what.what.asked->settle(send_result::closing);
  }
  void carry_out(make_room& what) {
    REQUIRE_FALSE(close_sent_);
    const auto* const terms = what.what.terms();
    if (terms && !terms->key.empty()) took_back(wire_.drop_key(*terms));
    if (const auto over = excess(state_, what.what, bounds_); over.messages > 0 || over.bytes > 0)
      took_back(wire_.drop_oldest(over));
    happen(send_again{std::move(what.what)});
  }
  void carry_out(send_close& what) {
    REQUIRE_FALSE(std::exchange(close_sent_, true));
    wire_.push_close(what.code, what.reason);
    REQUIRE(wire_.sealed());
  }
  void carry_out(abort_link&) { wire_.abandon(); }
  void carry_out(deliver&) { REQUIRE(kind_of(state_) == connection_state::open); }
  void carry_out(discard&) { REQUIRE(kind_of(state_) != connection_state::open); }
  void carry_out(protocol::refuse& what) { what.what.asked->settle(what.why); }
  void carry_out(answer_close&) { ++answered_; }
  void carry_out(report_closed&) {
    REQUIRE(++reported_ == 1);
    wire_.abandon();  // the link is gone
  }

  /// Sends without an outcome, which are those on the wire. One counts for a whole run, so this is a lower bound.
  [[nodiscard]] std::size_t pending() const {
    return static_cast<std::size_t>(std::count_if(attempts_.begin(), attempts_.end(),
                                                  [](const auto& a) { return !a.settled(); }));
  }

  /// Of each key one waits at most, and one that the kernel has a part of; what has expired is not told too early.
  void check_pending() const {
    std::map<std::string, int> waiting;
    for (const auto& a : attempts_) {
      const auto* const terms = a.asked->terms();
      if (!terms) continue;
      if (!a.settled() && !terms->key.empty()) REQUIRE(++waiting[terms->key] <= 2);
      if (a.settled() && a.asked->told.front() == send_result::expired)
        REQUIRE(now_ >= terms->expires);
    }
  }

  /// The bytes that came out are the response, then whole frames (the last one may be cut by the end of the socket),
  /// a Close last if there is one; and the data among them is what was written, in order, and nothing else.
  void check_stream() const {
    std::string_view rest = stream_;
    const auto start = rest.substr(0, response.size());
    REQUIRE(start == response.substr(0, start.size()));
    rest.remove_prefix(start.size());
    std::string data;
    while (rest.size() >= 2) {
      const auto head = static_cast<unsigned char>(rest[0]);
      std::size_t size = 2 + static_cast<unsigned char>(rest[1]);
      if (rest[1] == 126) {
        if (rest.size() < 4) break;
        size = 4 + static_cast<unsigned char>(rest[2]) * 256u + static_cast<unsigned char>(rest[3]);
      }
      if (rest.size() < size) break;
      if (head == 0x81) data += rest.substr(0, size);
      rest.remove_prefix(size);
      if (head == 0x88) REQUIRE(rest.empty());
    }
    std::string expected;
    for (const auto& a : attempts_) {
      if (a.asked->told.front() == send_result::written) expected += a.bytes;
    }
    REQUIRE(data.substr(0, expected.size()) == expected);
    // What is more is the start of one run that the end of the socket cut: its send was not `written`.
    REQUIRE(data.size() - expected.size() <= largest_run());
  }
  [[nodiscard]] std::size_t largest_run() const {
    std::size_t most = 0;
    for (const auto& a : attempts_) most = std::max(most, a.bytes.size());
    return most;
  }

  const limits& bounds_;
  state state_;
  wire wire_;
  effects effects_;
  time_point now_{std::chrono::hours{1}};
  std::vector<attempt> attempts_;
  std::string stream_;
  int asked_ = 0, answered_ = 0, reported_ = 0;
  bool upgraded_ = false, untold_close_ = false, close_sent_ = false;
};

}  // namespace fairlead::protocol::test
