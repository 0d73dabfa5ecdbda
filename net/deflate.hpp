#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <fairlead/compression.hpp>
#include <fairlead/message.hpp>

#include "protocol/chunk.hpp"
#include "protocol/token_bucket.hpp"

struct z_stream_s;

namespace fairlead::net {

/// What the workshops of one server share. Any thread.
struct deflate_counts {
  std::atomic<std::uint64_t> compressed{0};  ///< messages, those that did not shrink included
  std::atomic<std::uint64_t> spared{0};      ///< messages sent plain, since there was no time
  std::atomic<std::size_t> takers{
      0};  ///< connections that agreed on the largest window, as nearly all do
};

/// The processor time of this thread.
[[nodiscard]] std::chrono::nanoseconds thread_time();
/// By what the time that compressing takes is measured, and where it is counted; null: for this thread, whose workshops
/// share it.
struct work_clocks {
  std::function<protocol::time_point()> now = std::chrono::steady_clock::now;
  std::function<std::chrono::nanoseconds()> worked = thread_time;
  protocol::token_bucket* spent = nullptr;
};

/// Compresses and inflates for the connections of one loop. Since no context outlives a message, one set of zlib's
/// buffers serves them all. Compresses no more than half of the loop's time, whatever is sent: what a client says decides
/// how long zlib works on it. Loop's thread only.
class deflate_workshop {
 public:
  explicit deflate_workshop(
      const compression_options& o,
      std::shared_ptr<deflate_counts> counts = std::make_shared<deflate_counts>(),
      work_clocks c = {})
      : options_(o), counts_(std::move(counts)), clocks_(std::move(c)) {}
  ~deflate_workshop();
  deflate_workshop(const deflate_workshop&) = delete;
  deflate_workshop& operator=(const deflate_workshop&) = delete;

  /// Replaces a chunk's frames by the same with their payloads compressed, where that makes them smaller. They are not made
  /// again if they are there, beside the plain ones, or were asked for lately.
  void compress(protocol::chunk&, int window_bits);
  /// With its compressed form, if it is long enough and some connection of the server would take it.
  [[nodiscard]] message with_compressed_form(const message&);

  struct leave {
    void operator()(std::atomic<std::size_t>* takers) const noexcept { --*takers; }
  };
  /// Counts a connection for as long as it is held. Not longer than the workshop lives.
  using taker = std::unique_ptr<std::atomic<std::size_t>, leave>;
  [[nodiscard]] taker count_in(int window_bits) noexcept;

  enum class inflating : std::uint8_t { done, too_large, bad };
  /// Inflates one message's payload into `inflated()`. No more than `most` bytes are ever made of it.
  [[nodiscard]] inflating inflate(std::string_view payload, std::size_t most);
  [[nodiscard]] std::string_view inflated() const noexcept { return {text_.data(), text_size_}; }

 private:
  struct end_deflate {
    void operator()(z_stream_s*) const noexcept;
  };
  struct end_inflate {
    void operator()(z_stream_s*) const noexcept;
  };
  using bytes = std::shared_ptr<const char[]>;
  struct entry {
    bytes plain, made;  // the same where nothing shrank
    std::uint32_t size = 0;
    int window_bits = 0;
  };
  static constexpr int least_bits = 8, most_bits = 15;

  [[nodiscard]] entry make(const protocol::chunk& plain, int window_bits);
  [[nodiscard]] protocol::token_bucket& spent() const noexcept;
  [[nodiscard]] bool may_compress(std::string_view payload);
  [[nodiscard]] bool deflate(std::string_view payload, int window_bits);
  [[nodiscard]] z_stream_s& deflater(int window_bits);
  [[nodiscard]] z_stream_s& inflater();

  const compression_options options_;
  const std::shared_ptr<deflate_counts> counts_;
  const work_clocks clocks_;
  // By window. Each of these is made when it is first needed.
  std::array<std::unique_ptr<z_stream_s, end_deflate>, most_bits - least_bits + 1> deflaters_;
  std::unique_ptr<z_stream_s, end_inflate> inflater_;
  std::array<entry, 4> lately_;  // so few: connections of one loop are served in step
  std::size_t oldest_ = 0;
  std::string deflated_, run_, text_;
  std::size_t text_size_ = 0;
};

/// What marks a compressed message in a client's frames: RSV1 on its first (RFC 7692 6). Beast refuses that bit, and would
/// check compressed text for UTF-8. So the bit is cleared and the message called binary before Beast sees it, and both are
/// noted here.
class compressed_marks {
 public:
  struct mark {
    bool compressed = false;
    bool text = false;
  };

  /// Looks through bytes as they come from the socket, and changes the first byte of compressed messages.
  void scan(char* bytes, std::size_t size);
  /// That of the next message, in order.
  [[nodiscard]] mark take();

 private:
  enum class stage : std::uint8_t { first, second, length, mask, payload };

  std::string marks_;  // of messages that Beast has yet to deliver: as many as one read brings
  std::uint64_t left_ = 0;
  stage stage_ = stage::first;
  std::uint8_t count_ = 0;  // bytes to come in `length` or `mask`
  bool masked_ = false;
};

}  // namespace fairlead::net
