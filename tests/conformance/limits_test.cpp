#include <fstream>
#include <thread>

#include "tests/conformance/exchange.hpp"
#include "tests/wire/process.hpp"

using namespace fairlead::test;

TEST_SUITE_BEGIN("conformance/limits");

namespace {

constexpr std::size_t kib = 1024, mib = 1024 * kib;

std::string line_of(std::size_t size) {
  std::string bytes;
  bytes.reserve(size + 16);
  for (std::size_t i = 0; bytes.size() < size; ++i) bytes += std::to_string(i * 104'729) + " ";
  bytes.resize(size);
  return bytes;
}

/// Sent by another thread, as by a client that reads while it writes.
words answers_while_sending(raw_client& client, const std::string& bytes, std::size_t step,
                            bool may_compress) {
  std::thread writer([&] {
    for (std::size_t at = 0; at < bytes.size(); at += step)
      if (!client.try_send(std::string_view(bytes).substr(at, step))) return;
  });
  auto all = answers(client, may_compress);
  writer.join();
  return all;
}

void check_large(std::size_t size, std::size_t fragment, std::size_t step) {
  CAPTURE(size);
  CAPTURE(fragment);
  CAPTURE(step);
  const auto payload = line_of(size);
  for (const unsigned opcode : {1U, 2U}) {
    for (const auto how : {compression::off, compression::agreed}) {
      std::string sent;
      for (std::size_t at = 0; at < size; at += fragment)
        sent += encode_frame(at == 0 ? opcode : 0, std::string_view(payload).substr(at, fragment),
                             {.fin = at + fragment >= size});
      auto client = open(how);
      CHECK(answers_while_sending(client, sent + good_close, step, how == compression::agreed) ==
            words{opcode == 1 ? text(payload) : binary(payload), closed(1000)});
    }
  }
}

/// A program whose file says so.
struct configured {
  explicit configured(const std::string& toml) {
    char name[] = "/tmp/fairlead-conformance-XXXXXX";
    ::close(::mkstemp(name));
    file = name;
    std::ofstream(file) << toml;
    started = std::make_unique<echo_program>(words{"--config", file, "--compression", "on"});
  }
  ~configured() { ::unlink(file.c_str()); }
  std::string file;
  std::unique_ptr<echo_program> started;
};

}  // namespace

TEST_CASE("RFC 6455 10.4: messages of up to 16 MiB, as `serve --plain echo` has it by default") {
  for (const std::size_t size : {64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib})
    if (!sanitized || size <= 4 * mib) check_large(size, size, size + 100);
}

TEST_CASE("RFC 6455 5.4: a message of 4 MiB in fragments of every size") {
  for (const std::size_t fragment : {64 * kib, 4 * kib, std::size_t{256}})
    check_large(4 * mib, fragment, 8 * mib);
  if (!sanitized) check_large(4 * mib, 64, 8 * mib);  // 65,536 of them
}

TEST_CASE("a message of 1 MiB in segments of every size") {
  for (const std::size_t step : {1024, 64}) check_large(mib, mib, step);
}

TEST_CASE("RFC 6455 7.4.1: past 16 MiB it is 1009, as soon as the length is known") {
  for (const auto how : {compression::off, compression::agreed}) {
    auto client = open(how);
    client.send(encode_frame(2, "", {.claimed_length = 17 * mib}));
    CHECK(answers(client, false) == words{closed(1009)});
    auto other = open(how);
    const auto half = encode_frame(2, line_of(9 * mib), more);
    CHECK(answers_while_sending(other, half + encode_frame(0, line_of(9 * mib), more), mib,
                                false) == words{closed(1009)});
  }
}

TEST_CASE("a thousand messages of each size, all sent before any is read") {
  for (const std::size_t size : {0UL, 16UL, 64UL, 256UL, 4 * kib, 128 * kib}) {
    CAPTURE(size);
    const auto payload = line_of(size);
    const auto as_text = text_frame(payload), as_binary = encode_frame(2, payload);
    const int count = static_cast<int>(rounds(1000));
    for (const auto how : {compression::off, compression::agreed}) {
      auto client = open(how);
      for (int i = 0; i < count; ++i) client.send(i % 2 == 0 ? as_text : as_binary);
      client.send(good_close);
      for (int i = 0; i < count; ++i) {
        const auto next = client.receive_frame();
        REQUIRE(next);
        REQUIRE(next->opcode == (i % 2 == 0 ? 1 : 2));
        REQUIRE((next->reserved == rsv1 ? inflated(next->payload) : next->payload) == payload);
      }
      CHECK(answers(client, false) == words{closed(1000)});
    }
  }
}

TEST_CASE("a limit that the file sets holds: 1009 and 1008, however the message is sent") {
  const configured tight("[limits]\nmax_message_size = 1000\nmax_fragments = 3\n");
  const auto said = [&](const std::string& bytes) {
    raw_client client(tight.started->address());
    client.upgrade("/ws", deflate_offer);
    client.send(bytes);
    return answers(client, true);
  };
  const auto fits = line_of(1000), too_long = line_of(1001);
  const frame_options packed{.reserved = rsv1};
  CHECK(said(text_frame(fits) + good_close) == words{text(fits), closed(1000)});
  CHECK(said(encode_frame(1, deflated(fits), packed) + good_close) ==
        words{text(fits), closed(1000)});
  CHECK(said(text_frame(too_long)) == words{closed(1009)});
  CHECK(said(encode_frame(1, deflated(too_long), packed)) == words{closed(1009)});
  CHECK(said(encode_frame(1, line_of(999), more) + encode_frame(0, "xy")) == words{closed(1009)});
  const auto part = encode_frame(0, "x", more);
  CHECK(said(encode_frame(1, "x", more) + part + encode_frame(0, "x") + good_close) ==
        words{text("xxx"), closed(1000)});
  CHECK(said(encode_frame(1, "x", more) + part + part + encode_frame(0, "x")) ==
        words{closed(1008)});
}

TEST_SUITE_END();
