#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/conformance/echo_program.hpp"
#include "tests/support/raw_client.hpp"
#include "tests/support/zlib_peer.hpp"

/// What a client sends, and every frame that must come back before the end of the stream.
namespace fairlead::test {

using words = std::vector<std::string>;

/// How the bytes of a client's frames come.
enum class delivery { at_once, byte_by_byte, in_sevens };
/// A connection without permessage-deflate, of a program without; the same offered and declined; agreed on.
enum class compression { off, declined, agreed };

inline constexpr unsigned rsv1 = 4;
inline constexpr std::string_view deflate_offer =
    "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// A program that serves all tests of a file.
inline echo_program& program(bool compressing) {
  if (compressing) {
    static echo_program with({"--compression", "on"});
    return with;
  }
  static echo_program without;
  return without;
}

inline raw_client open(compression how) {
  raw_client client(program(how == compression::agreed).address());
  const auto reply = client.upgrade("/ws", how == compression::off ? "" : deflate_offer);
  CHECK(reply.has("Sec-WebSocket-Extensions") == (how == compression::agreed));
  return client;
}

/// Long payloads by their size and a sum.
inline std::string shown(std::string_view payload) {
  if (payload.size() <= 130) return std::string(payload);
  std::uint32_t sum = 2166136261U;
  for (const unsigned char c : payload) sum = (sum ^ c) * 16777619U;
  return std::to_string(payload.size()) + " bytes, sum " + std::to_string(sum);
}

inline std::string text(std::string_view payload) { return "text " + shown(payload); }
inline std::string binary(std::string_view payload) { return "binary " + shown(payload); }
inline std::string pong(std::string_view payload) { return "pong " + shown(payload); }
inline std::string closed(unsigned code) { return "close " + std::to_string(code); }

/// A frame of the server's in these words. What no server may send is named as such.
inline std::string in_words(const frame& f, bool may_compress, int window_bits = 15) {
  if (f.masked) return "a masked frame";
  if (!f.fin) return "a fragment";
  const bool data = f.opcode == 1 || f.opcode == 2;
  if (f.reserved != 0 && (!data || f.reserved != rsv1 || !may_compress)) return "reserved bits";
  const auto payload = f.reserved == rsv1 ? inflated(f.payload, window_bits) : f.payload;
  switch (f.opcode) {
  case 1: return text(payload);
  case 2: return binary(payload);
  case 8:
    if (f.payload.size() == 1 || f.payload.size() > 125) return "a wrong Close";
    return closed(f.close_code());
  case 10: return pong(payload);
  default: return "opcode " + std::to_string(f.opcode);
  }
}

/// Everything up to the end of the stream, which must be no reset.
inline words answers(raw_client& client, bool may_compress, int window_bits = 15) {
  words all;
  while (const auto next = client.receive_frame())
    all.push_back(in_words(*next, may_compress, window_bits));
  if (!client.pending().empty()) all.emplace_back("half a frame");
  if (client.was_reset()) all.emplace_back("a reset");
  return all;
}

inline void send(raw_client& client, std::string_view bytes, delivery how) {
  const std::size_t step = how == delivery::at_once     ? std::max<std::size_t>(1, bytes.size())
                           : how == delivery::in_sevens ? 7
                                                        : 1;
  // The server may have ended the connection by then.
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size())))
    if (!client.try_send(bytes.substr(0, step))) return;
}

struct exchange {
  std::string what;
  std::string sent;
  words expected;  ///< up to the end of the stream
};

inline constexpr std::size_t most_in_pieces = 700;

/// The same must come back however the bytes come, and whether or not messages could be compressed.
inline void check(const exchange& e) {
  CAPTURE(e.what);
  for (const auto how : {compression::off, compression::declined, compression::agreed}) {
    for (const auto pieces : {delivery::at_once, delivery::byte_by_byte, delivery::in_sevens}) {
      if (pieces != delivery::at_once && e.sent.size() > most_in_pieces) continue;
      CAPTURE(static_cast<int>(how));
      CAPTURE(static_cast<int>(pieces));
      auto client = open(how);
      send(client, e.sent, pieces);
      CHECK(answers(client, how == compression::agreed) == e.expected);
    }
  }
}

inline const std::string good_close = close_frame(1000);
inline constexpr frame_options more{.fin = false};

/// What is sent is right: all of it is answered, a Close behind it too.
inline void check_answered(std::string what, std::string sent, words expected) {
  expected.push_back(closed(1000));
  check({std::move(what), std::move(sent) + good_close, std::move(expected)});
}
/// What is sent breaks the protocol: what came before it is answered, what comes after it is not.
inline void check_refused(std::string what, const std::string& sent, unsigned code,
                          words before = {}) {
  before.insert(before.begin(), text("before"));
  before.push_back(closed(code));
  check({std::move(what), text_frame("before") + sent + text_frame("after") + ping_frame("after"),
         std::move(before)});
}

}  // namespace fairlead::test

namespace doctest {
template <>
struct StringMaker<fairlead::test::words> {
  static String convert(const fairlead::test::words& all) {
    std::string line;
    for (const auto& one : all) line += "[" + one + "] ";
    return line.c_str();
  }
};
}  // namespace doctest
