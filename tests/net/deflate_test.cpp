#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "net/deflate.hpp"
#include "net/tls_context.hpp"
#include "tests/net/hand_turned_loop.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/tls_layer.hpp"
#include "tests/support/zlib_peer.hpp"

using namespace fairlead;
using namespace std::chrono_literals;
using test::deflated;
using test::inflated;
using test::raw_client;

TEST_SUITE_BEGIN("net/deflate");

namespace {

constexpr compression_options on{.enabled = true, .min_size = 100};
constexpr unsigned rsv1 = 4;

/// A server that echoes, with permessage-deflate.
struct deflate_server {
  explicit deflate_server(limits bounds = {}, std::shared_ptr<net::tls_context> tls = {})
      : server(bounds, nullptr, std::move(tls), on) {
    server->prepare = [](test::line& l) {
      l.received = [](test::line& to, const message& m) {
        to.send(m);
        to.flush();
      };
    };
  }
  test::test_server* operator->() const { return server.operator->(); }
  test::running_server server;
};

std::string offering(const std::string& parameters = "") {
  return "Sec-WebSocket-Extensions: permessage-deflate" + parameters + "\r\n";
}

raw_client agreed(const deflate_server& server, const std::string& parameters = "") {
  raw_client client(server->address());
  CHECK(client.upgrade("/ws", offering(parameters)).has("Sec-WebSocket-Extensions: permessage"));
  return client;
}

std::string compressed_frame(std::string_view text, unsigned opcode = 1) {
  return test::encode_frame(opcode, deflated(text), {.reserved = rsv1});
}

std::string text_of(const test::frame& f, int window_bits = 15) {
  return f.reserved == rsv1 ? inflated(f.payload, window_bits) : f.payload;
}

/// Text that shrinks, and that no small window makes much of.
std::string prose(std::size_t size) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size) text += std::to_string(random() % 1000) + " ropes, ";
  text.resize(size);
  return text;
}

std::string noise(std::size_t size) {
  std::mt19937 random(7);
  std::string bytes;
  while (bytes.size() < size) bytes += static_cast<char>(random());
  return bytes;
}

unsigned close_code_of(raw_client& client) {
  const auto last = client.receive_frame();
  REQUIRE(last);
  REQUIRE(last->is_close());
  return last->close_code();
}

}  // namespace

// --- agreeing -------------------------------------------------------------------------------------------------------

TEST_CASE(
    "what a client offers is accepted where it can be kept, and else declined [RFC 7692 7.1]") {
  const deflate_server server;
  const std::string yes =
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  const auto answer = [&](const std::string& fields) -> std::string {
    raw_client client(server->address());
    const auto reply = client.upgrade("/ws", fields);
    const std::string name = "Sec-WebSocket-Extensions: ";
    const auto at = reply.head.find(name);
    if (at == std::string::npos) return "declined";
    return reply.head.substr(at + name.size(), reply.head.find("\r\n", at) - at - name.size());
  };
  CHECK(answer("") == "declined");
  CHECK(answer(offering()) == yes);
  CHECK(answer("sec-websocket-extensions: Permessage-Deflate\r\n") == yes);
  CHECK(answer(offering("; client_max_window_bits")) == yes);
  CHECK(answer(offering("; client_max_window_bits=10")) == yes);
  CHECK(answer(offering("; client_no_context_takeover; server_no_context_takeover")) == yes);
  CHECK(answer(offering("; server_max_window_bits=15")) == yes);
  CHECK(answer(offering("; server_max_window_bits=10")) == yes + "; server_max_window_bits=10");
  CHECK(answer(offering("; server_max_window_bits=\"9\"")) == yes + "; server_max_window_bits=9");

  CHECK(answer(offering("; server_max_window_bits=8")) == yes + "; server_max_window_bits=8");
  for (const auto* wrong :
       {"; server_max_window_bits", "; server_max_window_bits=16", "; server_max_window_bits=09",
        "; server_max_window_bits=7", "; client_max_window_bits=16", "; client_max_window_bits=x",
        "; server_no_context_takeover=1", "; client_no_context_takeover=", "; unheard_of",
        "; server_no_context_takeover; server_no_context_takeover"}) {
    CHECK_MESSAGE(answer(offering(wrong)) == "declined", wrong);
  }
  // The first that can be accepted, of one field or of several.
  CHECK(answer(offering("; unheard_of, permessage-deflate; server_max_window_bits=11")) ==
        yes + "; server_max_window_bits=11");
  CHECK(answer(offering("; client_max_window_bits, permessage-deflate")) == yes);
  CHECK(answer(offering(" ; client_max_window_bits ; server_max_window_bits = 12 , x-other; y")) ==
        yes + "; server_max_window_bits=12");
  CHECK(answer("Sec-WebSocket-Extensions: x-other\r\n" + offering()) == yes);
}

TEST_CASE("off by default: nothing is agreed on, and RSV1 breaks the protocol [RFC 6455 5.2]") {
  const test::running_server server;
  raw_client client(server->address());
  CHECK_FALSE(client.upgrade("/ws", offering()).has("Sec-WebSocket-Extensions"));
  server->line_of(0)->reports.await("upgraded");
  server->on_loop([&] { CHECK_FALSE(server->line_of(0)->link->compresses()); });
  client.send(compressed_frame("hello"));
  CHECK(close_code_of(client) == 1002);
}

TEST_CASE("who did not offer it is served without, beside those who did") {
  const deflate_server server;
  auto with = agreed(server);
  raw_client without(server->address());
  without.upgrade();
  const auto text = prose(5000);
  for (auto* client : {&with, &without}) {
    client->send(test::text_frame(text));
    const auto back = client->receive_frame();
    REQUIRE(back);
    CHECK((back->reserved == rsv1) == (client == &with));
    CHECK(text_of(*back) == text);
  }
  without.send(compressed_frame("hello"));
  CHECK(close_code_of(without) == 1002);
}

// --- talking --------------------------------------------------------------------------------------------------------

TEST_CASE("messages of every size and kind, compressed and not, come back") {
  const deflate_server server;
  auto client = agreed(server);
  for (const std::size_t size : {0U, 1U, 99U, 100U, 1000U, 20'000U, 65'536U}) {
    for (const auto& text : {prose(size), std::string(size, 'x')}) {
      CAPTURE(size);
      client.send(compressed_frame(text));
      auto back = client.receive_frame();
      REQUIRE(back);
      CHECK(back->opcode == 1);
      CHECK((back->reserved == rsv1) == (size >= on.min_size));
      CHECK(text_of(*back) == text);
      client.send(test::text_frame(text));
      back = client.receive_frame();
      REQUIRE(back);
      CHECK(text_of(*back) == text);
    }
    const auto bytes = noise(size);
    client.send(compressed_frame(bytes, 2));
    const auto back = client.receive_frame();
    REQUIRE(back);
    CHECK(back->opcode == 2);
    CHECK(back->reserved == 0);  // it would not be smaller
    CHECK(back->payload == bytes);
  }
}

TEST_CASE("fragments with control frames between them, in pieces of any size [RFC 7692 6.1]") {
  const deflate_server server;
  auto client = agreed(server);
  const auto text = prose(3000);
  const auto packed = deflated(text);
  std::string all;
  for (int i = 0; i < 3; ++i) {
    const auto third = packed.size() / 3;
    all += test::encode_frame(1, packed.substr(0, third), {.fin = false, .reserved = rsv1});
    all += test::ping_frame("p");
    all += test::encode_frame(0, packed.substr(third, third), {.fin = false});
    all += test::encode_frame(0, "", {.fin = false});
    all += test::encode_frame(0, packed.substr(2 * third));
    all += test::text_frame("plain");
    all += compressed_frame("short");
  }
  SUBCASE("at once") { client.send(all); }
  SUBCASE("byte by byte") {
    for (const char c : all) client.send({&c, 1});
  }
  std::vector<std::string> got;
  while (got.size() < 9) {
    const auto next = client.receive_frame();
    REQUIRE(next);
    if (next->opcode != 10) got.push_back(text_of(*next));
  }
  for (std::size_t i = 0; i < got.size(); i += 3) {
    CHECK(got[i] == text);
    CHECK(got[i + 1] == "plain");
    CHECK(got[i + 2] == "short");
  }
}

TEST_CASE("a compressed message that comes with the upgrade request is read") {
  const deflate_server server;
  raw_client client(server->address());
  const auto text = prose(2000);
  client.send(raw_client::upgrade_request("/ws", offering()) + compressed_frame(text) +
              test::text_frame("and this"));
  CHECK(client.receive_reply().status == 101);
  CHECK(text_of(*client.receive_frame()) == text);
  CHECK(client.receive_frame()->payload == "and this");
}

TEST_CASE("a client's window for what it receives is kept to [RFC 7692 7.1.2.1]") {
  const deflate_server server;
  const auto text = prose(30'000) + prose(30'000);  // a large window would refer back far
  for (const int bits : {8, 9, 12, 15}) {
    CAPTURE(bits);
    auto client = agreed(server, "; server_max_window_bits=" + std::to_string(bits));
    client.send(compressed_frame(text));
    const auto back = client.receive_frame();
    REQUIRE(back);
    REQUIRE(back->reserved == rsv1);
    CHECK(text_of(*back, bits) == text);
  }
}

TEST_CASE("over TLS as well") {
  const test::certified files;
  const deflate_server server({}, std::make_shared<net::tls_context>(tls_options{
                                      .certificate = files.certificate, .key = files.key}));
  auto client = test::tls_client(server->address());
  client.upgrade("/ws", offering());
  const auto text = prose(20'000);
  client.send(compressed_frame(text));
  CHECK(text_of(*client.receive_frame()) == text);
  server->on_loop([&] {
    CHECK(server->line_of(0)->link->tls() == "TLSv1.3");
    CHECK(server->line_of(0)->link->compresses());
  });
}

TEST_CASE("a closing handshake, and a stalled reader: all as without") {
  const deflate_server server;
  auto client = agreed(server);
  const auto line = server->line_of(0);
  line->reports.await("upgraded");
  server->on_loop([&] {
    for (int i = 0; i < 2000; ++i) line->send(message::text(std::to_string(i) + prose(10'000)));
    line->flush();
    line->link->send_close(close_code::normal, "done");
    line->flush();
  });
  for (int i = 0; i < 2000; ++i)
    REQUIRE(text_of(*client.receive_frame()) == std::to_string(i) + prose(10'000));
  CHECK(close_code_of(client) == 1000);
  client.send(test::close_frame(1000));
  line->reports.await("closed");
  CHECK(line->written.messages == 2000);
}

// --- hostile --------------------------------------------------------------------------------------------------------

TEST_CASE("a bomb is refused before it is inflated: 1009") {
  limits bounds;
  bounds.max_message_size = 10'000;
  const deflate_server server(bounds);
  auto client = agreed(server);
  SUBCASE("just right") {
    client.send(compressed_frame(std::string(10'000, 'x')));
    CHECK(text_of(*client.receive_frame()).size() == 10'000);
    return;
  }
  SUBCASE("one byte too many") { client.send(compressed_frame(std::string(10'001, 'x'))); }
  SUBCASE("a thousand times too many") {
    client.send(compressed_frame(std::string(8'000'000, 'x')));
  }
  SUBCASE("too many without compression") { client.send(test::text_frame(prose(10'001))); }
  CHECK(close_code_of(client) == 1009);
  server->line_of(0)->reports.await("violated 1009");
  CHECK(server->hits->count(protocol::limit_hit::message_too_big) == 1);
}

TEST_CASE("what a message is when inflated counts for its sender's rate") {
  limits bounds;
  bounds.max_inbound_bytes_per_second = 100'000;
  bounds.inbound_burst = 1s;
  test::hand_turned_link l(bounds, net::deflate_agreement{});
  l.peer_sends(compressed_frame(std::string(60'000, 'a')));
  CHECK_FALSE(l.line->link->peer().throttled);
  const auto again = compressed_frame(std::string(60'000, 'a'));
  l.peer_sends(again + again + again);  // one pause, however many one read brings
  CHECK(l.line->reports.count("text") == 4);
  CHECK(l.line->link->peer().throttled);
  CHECK(l.count(protocol::limit_hit::inbound_rate_paused) == 1);
}

TEST_CASE("what is no stream, or text that is no UTF-8, is refused: 1007") {
  const deflate_server server;
  auto client = agreed(server);
  SUBCASE("garbage") { client.send(test::encode_frame(2, "\xff\xff\xff\xff", {.reserved = rsv1})); }
  SUBCASE("a stream that breaks off") {
    const auto packed = deflated(prose(1000));
    client.send(test::encode_frame(1, packed.substr(0, packed.size() / 2), {.reserved = rsv1}));
  }
  SUBCASE("a distance that reaches back into an earlier message") {
    client.send(compressed_frame(prose(2000)));
    CHECK(text_of(*client.receive_frame()) == prose(2000));
    // A fixed block: a match of length 3 at distance 1, of nothing.
    client.send(test::encode_frame(1, std::string("\x02\x02\x00", 3), {.reserved = rsv1}));
  }
  SUBCASE("no UTF-8") { client.send(compressed_frame("caf\xe9")); }
  CHECK(close_code_of(client) == 1007);
}

TEST_CASE("reserved bits where they mean nothing are refused: 1002 [RFC 7692 6]") {
  const deflate_server server;
  auto client = agreed(server);
  SUBCASE("RSV1 on a later fragment") {
    client.send(test::encode_frame(1, "a", {.fin = false}) +
                test::encode_frame(0, "b", {.reserved = rsv1}));
  }
  SUBCASE("RSV1 on a control frame") { client.send(test::encode_frame(9, "", {.reserved = rsv1})); }
  SUBCASE("RSV2") { client.send(test::encode_frame(1, deflated("a"), {.reserved = rsv1 | 2U})); }
  SUBCASE("RSV3") { client.send(test::encode_frame(1, "a", {.reserved = 1})); }
  SUBCASE("without a mask") {
    client.send(test::encode_frame(1, deflated("a"), {.reserved = rsv1, .masked = false}));
  }
  CHECK(close_code_of(client) == 1002);
}

TEST_CASE("what others make of an empty message, and a stream that ends within one, are read") {
  const deflate_server server;
  auto client = agreed(server);
  client.send(test::encode_frame(1, std::string(1, '\0'), {.reserved = rsv1}));  // RFC 7692 7.2.3.6
  CHECK(client.receive_frame()->payload.empty());
  client.send(test::encode_frame(1, "", {.reserved = rsv1}));
  CHECK(client.receive_frame()->payload.empty());
  client.send(test::encode_frame(1, deflated("hello", 15, true), {.reserved = rsv1}));  // 7.2.3.4
  CHECK(client.receive_frame()->payload == "hello");
}

// --- sharing --------------------------------------------------------------------------------------------------------

TEST_CASE("the connections of a loop share one compressed message; each window has its own") {
  net::deflate_workshop workshop(on);
  const auto plain = protocol::as_chunk(message::text(prose(2000)));
  const auto compressed = [&](int bits) {
    auto what = plain;
    workshop.compress(what, bits);
    return what;
  };
  const auto first = compressed(15);
  CHECK(first.size < plain.size);
  CHECK(compressed(15).storage == first.storage);
  CHECK(compressed(10).storage != first.storage);
  CHECK(compressed(15).storage == first.storage);
  // Other messages push it out, in the end.
  for (int i = 0; i < 10; ++i) {
    auto other = protocol::as_chunk(message::text(prose(2000) + std::to_string(i)));
    workshop.compress(other, 15);
  }
  const auto again = compressed(15);
  CHECK(again.storage != first.storage);
  CHECK(again.view() == first.view());
}

TEST_CASE(
    "a form that lies beside the plain frames is taken for the largest window, by any workshop") {
  const auto counts = std::make_shared<net::deflate_counts>();
  net::deflate_workshop first(on, counts), second(on, counts);
  const auto long_one = message::text(prose(2000));
  const auto alone = first.with_compressed_form(long_one);  // nobody takes it
  CHECK(alone.storage() == long_one.storage());
  CHECK_FALSE(second.count_in(14));
  const auto taker = second.count_in(15);
  const auto both = first.with_compressed_form(long_one);
  CHECK(both.frame() == long_one.frame());
  CHECK(both.kind() == message_kind::text);
  const auto compressed = [&](net::deflate_workshop& workshop, const message& m, int bits) {
    auto what = protocol::as_chunk(m);
    workshop.compress(what, bits);
    return what;
  };
  const auto there = compressed(second, both, 15);
  CHECK(counts->compressed == 1);
  CHECK(there.storage == compressed(first, both, 15).storage);
  CHECK(there.view() == compressed(second, long_one, 15).view());
  CHECK(counts->compressed == 2);
  CHECK(compressed(second, both, 9).storage != there.storage);
  CHECK(counts->compressed == 3);

  const auto same = message::make(message_kind::binary, noise(500));
  const auto tried = first.with_compressed_form(same);
  CHECK(compressed(second, tried, 15).storage == same.storage());  // and is not tried again
  CHECK(counts->compressed == 4);
  const auto small = message::text("short");
  CHECK(first.with_compressed_form(small).storage() == small.storage());
}

TEST_CASE("a run of frames stays a run: each is compressed, or not, by itself") {
  net::deflate_workshop workshop(on);
  const std::vector<std::string> texts{prose(2000), "short", noise(500), prose(70'000), ""};
  std::string frames;
  for (const auto& text : texts) frames += message::text(text).frame();
  auto storage = std::make_shared<char[]>(frames.size());
  std::ranges::copy(frames, storage.get());
  protocol::chunk run;
  run.storage = storage;
  run.size = static_cast<std::uint32_t>(frames.size());
  run.frames = 5;
  workshop.compress(run, 15);
  CHECK(run.frames == 5);
  CHECK(run.size < frames.size());
  auto rest = run.view();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(rest[at]); };
    const std::size_t width = byte(1) == 126 ? 2 : byte(1) == 127 ? 8 : 0;
    std::uint64_t size = width > 0 ? 0 : byte(1);
    for (std::size_t at = 0; at < width; ++at) size = size << 8U | byte(2 + at);
    const bool packed = (byte(0) & 0x40U) != 0;
    CHECK(packed == (i == 0 || i == 3));
    const std::string payload(rest.substr(2 + width, size));
    CHECK((packed ? inflated(payload) : payload) == texts[i]);
    rest.remove_prefix(2 + width + size);
  }
  CHECK(rest.empty());
}

TEST_CASE("compressing takes half of the time at most, and 100 ms at once; the rest goes plain") {
  auto now = protocol::time_point{} + 1h;
  auto worked = 0ns;
  protocol::token_bucket spent;
  const auto counts = std::make_shared<net::deflate_counts>();
  net::deflate_workshop workshop(
      on, counts,
      {[&] { return now; }, [&] { return worked += 15ms; },
       &spent});  // asked before and after each compression, so 15 ms each
  const auto taker = workshop.count_in(15);
  const auto shrinks = [&] {
    const auto form = workshop.with_compressed_form(message::text(prose(2000)));
    auto what = protocol::as_chunk(form);
    workshop.compress(what, 15);
    return what.size < form.frame().size();
  };
  int compressed = 0;
  while (shrinks()) ++compressed;
  CHECK(compressed == 7);
  CHECK(counts->compressed == 7);
  CHECK(counts->spared == 1);
  for (auto second = 0s; second < 10s; second += 1s)
    for (int i = 0; i < 100; ++i, now += 10ms) compressed += shrinks() ? 1 : 0;
  CHECK(compressed * 15ms <= 5s + 115ms);
  CHECK(compressed * 15ms >= 5s);
}

TEST_CASE("nothing shrinks: the bytes are shared with everyone else") {
  net::deflate_workshop workshop(on);
  auto what = protocol::as_chunk(message::text("short"));
  const auto before = what.storage;
  workshop.compress(what, 15);
  CHECK(what.storage == before);
}

TEST_SUITE_END();
