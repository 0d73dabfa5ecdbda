// Replaces the global operator new of this test program by one that counts.

#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

#include <doctest/doctest.h>

#include "protocol/machine.hpp"
#include "protocol/wire.hpp"
#include "tests/protocol/recording_receipt.hpp"

namespace {
thread_local std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc{};
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

// Inside, so that `send` and `write` are the events and effects and not the system calls.
namespace fairlead::protocol::test {

TEST_SUITE_BEGIN("protocol/allocations");

TEST_CASE("the counter counts") {
  const auto before = allocations;
  const std::string long_enough(100, 'x');
  CHECK(allocations == before + 1);
}

TEST_CASE("a message is one allocation, an empty one and a copy are none") {
  const std::string payload(1'000, 'x');
  auto before = allocations;
  const auto m = message::text(payload);
  CHECK(allocations == before + 1);
  before = allocations;
  const message copy = m;
  const message empty;
  CHECK(allocations == before);
}

TEST_CASE("a send in `open`, queued and written, allocates nothing and copies no reference") {
  const limits bounds;
  const auto [what, asked] = with_receipt("hello");
  state s = open{};
  wire w;
  w.handshake_done();
  effects out;
  out.reserve(1);
  std::array<std::string_view, 4> buffers;

  const auto before = allocations;
  const auto owners = what.storage.use_count();
  for (int i = 0; i < 1'000; ++i) {
    chunk mine = what;
    mine.asked = nullptr;
    out.clear();
    step(s, send{std::move(mine)}, bounds, {}, out);
    const bool queued = w.push(std::move(std::get<write>(out.front()).what));
    const bool shared_once = what.storage.use_count() == owners + 1;
    const bool gathered = w.gather(buffers) == 1;
    const auto made = w.consume(w.queued_bytes());
    step(s, written{made.messages, made.bytes}, bounds, {}, out);
    if (!queued || !shared_once || !gathered || made.messages != 1) FAIL("round " << i);
  }
  CHECK(allocations == before);
  CHECK(std::get<open>(s).queued_messages == 0);
  CHECK(std::get<open>(s).queued_bytes == 0);
}

TEST_CASE("a receipt costs no allocation of the wire's") {
  wire w;
  w.handshake_done();
  auto [what, asked] = with_receipt("hello");
  asked->told.reserve(100);
  const auto before = allocations;
  for (int i = 0; i < 100; ++i) {
    const bool queued = w.push(what);
    w.consume(w.queued_bytes());
    if (!queued) FAIL("round " << i);
  }
  CHECK(allocations == before);
  CHECK(asked->told.size() == 100);
}

TEST_SUITE_END();

}  // namespace fairlead::protocol::test
