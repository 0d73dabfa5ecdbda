#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/compressed_form.hpp"
#include "protocol/frame.hpp"
#include "protocol/ports.hpp"
#include "protocol/wire.hpp"

namespace fairlead::test {

/// One server frame of a byte stream.
struct sent_frame {
  unsigned opcode;
  std::string payload;
  [[nodiscard]] bool is_close() const noexcept { return opcode == 8; }
};

/// The frames in what a server sent; a piece of a frame at the end is left out.
[[nodiscard]] inline std::vector<sent_frame> frames_in(std::string_view bytes) {
  std::vector<sent_frame> frames;
  while (bytes.size() >= 2) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    std::uint64_t size = at(1) & 0x7f;
    std::size_t header = 2;
    if (const int extra = size == 126 ? 2 : size == 127 ? 8 : 0; extra > 0) {
      if (bytes.size() < 2u + extra) break;
      size = 0;
      for (int i = 0; i < extra; ++i) size = size << 8 | at(2 + i);
      header += extra;
    }
    if (bytes.size() < header + size) break;
    frames.push_back({at(0) & 0x0fu, std::string{bytes.substr(header, size)}});
    bytes.remove_prefix(header + size);
  }
  return frames;
}

/// The same frames without the dots at the end of their payloads: smaller, as by compression, and still to be read.
inline protocol::compressed_form without_padding(std::string_view frames) {
  std::string shorter;
  for (const auto& f : frames_in(frames)) {
    const auto size = f.payload.find_last_not_of('.') + 1;
    std::array<char, protocol::max_frame_header> header;
    const auto code = static_cast<protocol::opcode>(f.opcode);
    shorter.append(header.data(), protocol::write_frame_header(header.data(), code, size));
    shorter.append(f.payload, 0, size);
  }
  auto bytes = std::make_shared_for_overwrite<char[]>(shorter.size());
  std::ranges::copy(shorter, bytes.get());
  return {std::move(bytes), static_cast<std::uint32_t>(shorter.size())};
}
/// What a link that compresses does: as the real one, it looks first whether that was done already.
inline void drop_padding(protocol::chunk& c) {
  const auto* const beside = protocol::compressed_form::of(c.storage);
  auto shorter = beside ? *beside : without_padding(c.view());
  c.storage = std::move(shorter.storage);
  c.size = shorter.size;
}

/// A link without a socket over the real wire: the test decides what the kernel takes and what the peer does.
class fake_link final : public protocol::link {
 public:
  // --- the port -----------------------------------------------------------------------------------------------------
  void open(std::unique_ptr<protocol::link_observer> observer) override {
    observer_ = std::move(observer);
  }
  void resume_reading() override {
    reading = true;
    if (const auto next = std::exchange(when_read_on, {})) next();
  }
  void pause_reading() override { reading = false; }
  [[nodiscard]] std::size_t write(protocol::chunk&& c) override {
    if (compresses_padding) drop_padding(c);
    if (shrunk_to > 0) c.size = std::min(c.size, shrunk_to);
    const std::size_t size = c.size;
    const auto frames = c.frames;
    if (ended_ || !wire_.push(std::move(c))) return 0;
    queued_messages_ += frames;
    ever_queued_ += size;
    return size;
  }
  [[nodiscard]] bool sealed() const noexcept override { return wire_.sealed(); }
  [[nodiscard]] bool broken() const noexcept override { return broken_; }
  void send_close(close_code code, std::string_view reason) override {
    if (!ended_) wire_.push_close(code, reason);
  }
  protocol::progress flush() override {
    ++flushes;
    return take();
  }
  protocol::progress drop_oldest(const protocol::progress& least) override {
    return left(wire_.drop_oldest(least));
  }
  protocol::progress drop_key(const protocol::send_terms& terms) override {
    return left(wire_.drop_key(terms));
  }
  protocol::progress drop_expired(protocol::time_point now, protocol::time_point& next) override {
    return left(wire_.drop_expired(now, next));
  }
  void abort() override {
    aborted = true;
    end();
  }
  [[nodiscard]] std::size_t queued_bytes() const noexcept override { return wire_.queued_bytes(); }
  [[nodiscard]] std::size_t undelivered_bytes() const noexcept override {
    return wire_.queued_bytes() + unacknowledged;
  }
  [[nodiscard]] protocol::peer_view peer() const noexcept override { return view; }

  // --- the test's side ----------------------------------------------------------------------------------------------
  void upgrade() {
    if (!observer_ || std::exchange(upgraded_, true)) return;
    wire_.handshake_done();
    observer_->on_upgraded();
    kernel_takes(0);
  }
  void peer_sends(std::string_view text) {
    if (observer_) observer_->on_message(message::text(text));
  }
  /// The peer's Close arrives: the transport answers by itself before the actor hears of it.
  void peer_closes(close_code code, std::string_view reason = {}) {
    if (!observer_) return;
    wire_.push_close(code, {});
    observer_->on_peer_close(code, std::string{reason});
    kernel_takes(0);
  }
  /// Both Close frames are through.
  void closing_handshake_done() {
    if (auto o = std::move(observer_)) o->on_closed();
    end();
  }
  /// The peer breaks the protocol: the transport closes by itself before the actor hears of it.
  void violates(close_code code, std::string what) {
    if (!observer_) return;
    wire_.push_close(code, {});
    observer_->on_violation(code, std::move(what));
    kernel_takes(0);
  }
  /// The transport finds that a limit was passed.
  void passes_limit(close_code code, std::string reason) {
    if (observer_) observer_->on_limit(code, std::move(reason));
  }
  void fails(std::string what = "connection reset by peer") {
    broken_ = true;
    if (auto o = std::move(observer_))
      o->on_failed(std::make_error_code(std::errc::connection_reset), std::move(what));
    end();
  }
  /// The kernel has room for `bytes` more and takes what it can.
  void kernel_takes(std::size_t bytes) {
    room = bytes < SIZE_MAX - room ? room + bytes : SIZE_MAX;
    const auto p = take();
    if (observer_ && (p.messages || p.bytes)) observer_->on_progress(p);
  }
  [[nodiscard]] bool has_observer() const noexcept { return observer_ != nullptr; }
  /// Of the application's, that the kernel has not taken to their last byte.
  [[nodiscard]] std::size_t queued_messages() const noexcept { return queued_messages_; }
  /// Bytes of messages that were ever queued.
  [[nodiscard]] std::size_t ever_queued() const noexcept { return ever_queued_; }
  /// A Close frame is out and nothing is behind it: a peer that keeps to the protocol would answer now.
  [[nodiscard]] bool waits_for_peer() const noexcept {
    return observer_ && upgraded_ && wire_.sealed() && wire_.empty();
  }

  std::string sent;                 ///< every byte that the kernel took
  std::size_t room = SIZE_MAX;      ///< what the kernel still takes without blocking
  std::size_t unacknowledged = 0;   ///< what the kernel took and the peer did not
  std::uint32_t shrunk_to = 0;      ///< bytes that a chunk is compressed to; 0: it is not
  bool compresses_padding = false;  ///< chunks lose it
  bool reading = false;
  std::function<void()> when_read_on;  ///< what the peer did meanwhile
  bool aborted = false;
  std::size_t flushes = 0;
  protocol::peer_view view;  ///< what the transport says of the peer

 private:
  protocol::progress take() {
    protocol::progress total;
    std::array<std::string_view, 16> buffers;
    while (room > 0) {
      const auto n = wire_.gather(buffers);
      std::size_t taken = 0;
      for (std::size_t i = 0; i < n && room > 0; ++i) {
        const auto part = buffers[i].substr(0, room);
        sent += part;
        taken += part.size();
        if (room != SIZE_MAX) room -= part.size();
      }
      if (taken == 0) break;
      const auto p = wire_.consume(taken);
      total.messages += p.messages;
      total.bytes += p.bytes;
    }
    return left(total);
  }
  protocol::progress left(protocol::progress p) noexcept {
    queued_messages_ -= p.messages;
    return p;
  }
  void end() {
    ended_ = true;
    queued_messages_ = 0;
    wire_.abandon();
    observer_.reset();
  }

  protocol::wire wire_;
  std::unique_ptr<protocol::link_observer> observer_;
  std::size_t queued_messages_ = 0;
  std::size_t ever_queued_ = 0;
  bool upgraded_ = false;
  bool ended_ = false;
  bool broken_ = false;
};

/// The payloads of the data frames in what a server sent.
[[nodiscard]] inline std::vector<std::string> texts_in(std::string_view bytes) {
  std::vector<std::string> texts;
  for (auto& f : frames_in(bytes))
    if (f.opcode <= 2) texts.push_back(std::move(f.payload));
  return texts;
}

/// Whether nothing follows the first Close frame of what a server sent, and that frame is whole.
[[nodiscard]] inline bool ends_at_its_close(std::string_view bytes) {
  std::size_t seen = 0;
  for (const auto& f : frames_in(bytes)) {
    seen += (f.payload.size() < 126 ? 2 : f.payload.size() <= 0xffff ? 4 : 10) + f.payload.size();
    if (f.is_close()) return seen == bytes.size();
  }
  return true;
}

/// The code of the Close frame that a server sent, or nothing if it sent none.
[[nodiscard]] inline std::optional<close_code> close_code_in(std::string_view bytes) {
  for (const auto& f : frames_in(bytes)) {
    if (!f.is_close()) continue;
    if (f.payload.size() < 2) return close_code::no_status;
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(f.payload[i]); };
    return static_cast<close_code>(at(0) << 8 | at(1));
  }
  return std::nullopt;
}

}  // namespace fairlead::test
