#include <algorithm>
#include <numeric>

#include <doctest/doctest.h>

#include "tests/support/tls_layer.hpp"
#include "tests/wire/race_round.hpp"

namespace fairlead::test {

// --- what happens ---------------------------------------------------------------------------------------------------

void race_round::connect() {
  dice d{seed_};
  for (std::size_t i = 0; i < width; ++i) {
    auto [client, handle] = server_.join("user" + std::to_string(i / 2));
    peer_plan plan;
    const auto lot = d.up_to(100);
    if (lot >= 45) plan.how = ending::closes;
    if (!clean_ && lot >= 65) plan.how = lot < 85 ? ending::resets : ending::leaves;
    plan.after = d.up_to(3 * sends);
    handles_.push_back(std::move(handle));
    peers_.emplace_back(std::move(client), plan);
  }
}

void race_round::send_one(const send_key& k, std::size_t line) {
  auto what = book_.note(k);
  auto settle = [self = shared_from_this(), &r = book_.at(k)](send_result how) {
    r.met = how;
    r.settle(how == send_result::written ? 1 : 0, 1);
  };
  if (k.by == route::id) return server_->send(handles_[line].id(), std::move(what), settle);
  handles_[line].send(std::move(what), settle);
}

/// Without it most sends are made before the first connection hears of its end.
void race_round::await_pass(route by, std::size_t serial) {
  if (!paced_) return;
  for (std::size_t target = 0; target < width; ++target) {
    const auto& r = book_.at({by, target, serial});
    if (r.sent && !eventually([&] { return r.answers > 0; })) return;  // await_answers tells
  }
}

void race_round::send_by_handle() {
  for (std::size_t n = 0; n < sends; ++n) {
    for (std::size_t i = 0; i < width; ++i) {
      send_one({route::handle, i, n}, i);
      ++progress_;
    }
    await_pass(route::handle, n);
  }
}

void race_round::send_by_id() {
  for (std::size_t n = 0; n < sends; ++n) {
    for (std::size_t i = width; i-- > 0;) send_one({route::id, i, n}, i);
    await_pass(route::id, n);
  }
}

void race_round::send_to_many() {
  const auto settle_of = [self = shared_from_this()](const send_key& k) {
    return [self, &r = self->book_.at(k)](const broadcast_summary& s) {
      r.settle(s.count(send_result::written), s.addressed());
    };
  };
  for (std::size_t n = 0; n < sends; ++n) {
    for (std::size_t u = 0; u < users; ++u) {
      const send_key k{route::user, u, n};
      server_->send_to_user("user" + std::to_string(u), book_.note(k), settle_of(k));
    }
    const send_key k{route::all, 0, n};
    server_->broadcast(book_.note(k), {}, settle_of(k));
    await_pass(route::user, n);
    await_pass(route::all, n);
  }
}

void race_round::close_some() {
  dice d{seed_ + 1};
  std::vector<std::size_t> order(width);
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::shuffle(order, d.engine());
  for (const auto i : order) {
    const auto lot = d.up_to(100);
    // Anywhere within the sends, or behind them.
    const auto when = d.up_to(width * sends + 1);
    while (lot < 80 && progress_ < when) std::this_thread::yield();
    if (lot < 40) ask_close_by_handle(i);
    if (lot >= 40 && lot < 65) ask_remove(i, by_id, 4001);
    if (lot >= 65 && lot < 80) ask_close_user(i / 2);
  }
}

void race_round::ask_close_by_handle(std::size_t line) {
  send_one({route::farewell, line, 0}, line);
  auto& ask = asks_[line][by_handle];
  ask.asked = true;
  handles_[line].close(close_code{4000}, "by handle",
                       [self = shared_from_this(), &ask](close_result r) {
                         ask.initiated += r == close_result::initiated ? 1 : 0;
                         ++ask.answers;
                       });
  send_one({route::farewell, line, 1}, line);
}

void race_round::ask_remove(std::size_t line, ask_kind kind, unsigned code) {
  auto& ask = asks_[line][kind];
  ask.asked = true;
  server_->remove(handles_[line].id(), close_code{static_cast<std::uint16_t>(code)}, "removed",
                  [self = shared_from_this(), &ask](close_result r) {
                    ask.initiated += r == close_result::initiated ? 1 : 0;
                    ++ask.answers;
                  });
}

void race_round::ask_close_user(std::size_t user) {
  auto& ask = asks_[2 * user][by_user];  // kept with the first of the user's two
  if (std::exchange(ask.asked, true)) return;
  server_->close_user("user" + std::to_string(user), close_code{4002}, "out",
                      [self = shared_from_this(), &ask](std::size_t closes) {
                        ask.initiated += static_cast<unsigned>(closes);
                        ++ask.answers;
                      });
}

void race_round::await_answers() {
  for (const auto& h : handles_) server_.end_of(h);
  const auto sent = book_.sent();
  if (!eventually([&] { return book_.answered_once() == sent; }))
    complaints_.emplace_back("not every send has one outcome");
  const auto answered = [this] {
    return std::ranges::all_of(asks_, [](const auto& of_line) {
      return std::ranges::all_of(of_line,
                                 [](const auto& a) { return a.answers == (a.asked ? 1 : 0); });
    });
  };
  if (!eventually(answered)) complaints_.emplace_back("not every close has one answer");
  // The handles are still there: what they lead to must have let go of every byte.
  if (!eventually([this] { return book_.still_held() == 0; }))
    complaints_.emplace_back("bytes of a message are still held");
}

// --- what must have come of it --------------------------------------------------------------------------------------

void race_round::compare() {
  if (!all_ended_) complaints_.emplace_back("a client waited in vain for its end");
  for (std::size_t i = 0; i < width; ++i) {
    got_[i].resize(route_count * width * sends);
    compare_frames(i);
  }
  for (std::size_t i = 0; i < width; ++i) {
    compare_direct(i);
    compare_close(i);
    compare_end(i);
  }
  compare_broadcasts();
}

void race_round::complain(std::size_t line, const std::string& what) {
  complaints_.push_back(to_string(handles_[line].id()) + " (plan " +
                        std::to_string(static_cast<int>(peers_[line].plan().how)) + "): " + what);
}

/// The bytes themselves: whole unmasked text frames, each sender's in its order, at most one Close, then the end.
void race_round::compare_frames(std::size_t line) {
  const auto& p = peers_[line];
  if (p.after_close() > 0) complain(line, "something follows the Close frame");
  if (p.reads_all() && !p.saw_close()) complain(line, "ended without a Close frame");
  if (p.reads_all() && (p.end_was_reset() || p.cut() > 0)) complain(line, "a broken end");
  std::array<std::size_t, route_count> next{};
  for (const auto& f : p.frames()) {
    if (f.is_close()) continue;
    const auto k = send_key::parse(f.payload);
    if (f.opcode != 1 || !f.fin || f.masked || f.reserved != 0 || !k || !book_.has(*k)) {
      complain(line, "a frame that nobody sent: " + f.payload);
      continue;
    }
    auto& expected = next[static_cast<std::size_t>(k->by)];
    if (k->serial < expected) complain(line, "out of order: " + f.payload);
    expected = k->serial + 1;
    got_[line][index(*k)] = true;
    ++received_;
  }
}

/// `written` is what was received, and the other way round where the client read everything.
void race_round::compare_direct(std::size_t line) {
  for (const auto by : {route::handle, route::id, route::farewell}) {
    for (std::size_t n = 0; n < sends; ++n) {
      const send_key k{by, line, n};
      const bool written = book_.at(k).written == 1;
      if (got(line, k) && !written) complain(line, "received but not written: " + k.text());
      if (written && !got(line, k) && peers_[line].reads_all())
        complain(line, "written but not received: " + k.text());
    }
  }
  if (book_.at({route::farewell, line, 1}).written > 0)
    complain(line, "a send after its own thread's close was written");
}

void race_round::compare_broadcasts() {
  for (const auto by : {route::user, route::all}) {
    for (std::size_t target = 0; target < width; ++target) {
      for (std::size_t n = 0; n < sends; ++n) {
        const send_key k{by, target, n};
        const auto& r = book_.at(k);
        std::size_t receivers = 0;
        for (std::size_t i = 0; i < width; ++i) receivers += got(i, k) ? 1 : 0;
        if (by == route::user && receivers > 0 && !got(2 * target, k) && !got(2 * target + 1, k))
          complaints_.push_back(k.text() + " went to another user");
        const std::size_t most = by == route::user ? 2 : width;
        if (receivers > r.written || (clean_ && receivers != r.written) ||
            r.written > r.addressed || r.addressed > most)
          complaints_.push_back(k.text() + ": " + std::to_string(receivers) + " received, " +
                                std::to_string(r.written) + " written, " +
                                std::to_string(r.addressed) + " addressed");
      }
    }
  }
}

/// At most one request started the close, and it is the one whose code was on the wire.
void race_round::compare_close(std::size_t line) {
  const auto& asks = asks_[line];
  const unsigned by_user_at_most = asks_[line / 2 * 2][by_user].initiated;
  const unsigned started =
      asks[by_handle].initiated + asks[by_id].initiated + asks[final_ask].initiated;
  if (started > 1 || by_user_at_most > 2) complain(line, "several requests started its close");
  const auto& p = peers_[line];
  if (!p.saw_close()) return;
  const std::array<unsigned, 4> initiated{asks[by_handle].initiated, asks[by_id].initiated,
                                          by_user_at_most, asks[final_ask].initiated};
  const auto code = p.close_code();
  const bool ours = code >= 4000 && code <= 4003;
  if (ours && initiated[code - 4000] == 0) complain(line, "its Close is nobody's");
  if (!ours && started > 0) complain(line, "its close was started, and another's is on the wire");
  if (!ours && (code != peer::own_code || p.plan().how != ending::closes))
    complain(line, "closed with " + std::to_string(code));
}

void race_round::compare_end(std::size_t line) {
  const auto& handle = handles_[line];
  const auto& p = peers_[line];
  if (server_.times_ended(handle) != 1) complain(line, "on_close was not called once");
  const auto end = server_.end_of(handle);
  for (const auto by : {route::handle, route::id, route::farewell})
    for (std::size_t n = 0; n < sends; ++n)
      if (end.code == close_code::abnormal && book_.at({by, line, n}).met == send_result::closing)
        complain(line, "a send met closing, but there never was a Close");
  if (!p.reads_all()) return;
  if (!end.clean) complain(line, "not clean, though both sides sent a Close: " + end.reason);
  const auto told = static_cast<unsigned>(end.code);
  if (told != p.close_code()) complain(line, "told to have closed with " + std::to_string(told));
}

std::size_t race_round::cut_short() {
  std::size_t n = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const bool first = book_.at({route::handle, i, 0}).written == 1;
    n += first && book_.at({route::handle, i, sends - 1}).written == 0 ? 1 : 0;
  }
  return n;
}

namespace {

struct totals {
  std::size_t connections = 0, sends = 0, written = 0, received = 0, cut_short = 0;
};

/// Nobody is left: not in the count, not in any actor's own account.
void check_empty(live_server& server) {
  CHECK(eventually([&] { return server->connection_count() == 0; }));
  const auto all = server->snapshot().get();
  CHECK(all.connections.empty());
  CHECK(all.unanswered.empty());
  CHECK(all.unanswered_loops.empty());
}

void check_after_the_end(const std::vector<connection>& handles) {
  for (const auto& h : handles) {
    const auto sent = h.send_reported(message::text("late")).get();
    CHECK((sent == send_result::closed || sent == send_result::failed));
    CHECK(h.close_reported().get() == close_result::already_closed);
    CHECK(h.user().starts_with("user"));
  }
}

totals race(server_options options, const live_server::client_maker& make_client,
            std::size_t how_many, std::uint32_t seed) {
  totals sum;
  std::vector<std::shared_ptr<race_round>> all;
  {
    live_server server{std::move(options), make_client};
    for (std::size_t i = 0; i < how_many; ++i) {
      const auto its_seed = seed + static_cast<std::uint32_t>(2 * i);
      CAPTURE(its_seed);
      all.push_back(std::make_shared<race_round>(server, its_seed, i % 2 == 0));
      all.back()->run();
      for (const auto& c : all.back()->complaints()) FAIL_CHECK(c);
      if (!all.back()->complaints().empty()) break;
    }
    check_empty(server);
  }
  for (const auto& round : all) {
    CHECK(round->book().answered_wrongly() == 0);  // none was answered again, to the very end
    sum.sends += round->book().sent();
    sum.written += round->book().total_written();
    sum.received += round->received();
    sum.cut_short += round->cut_short();
  }
  check_after_the_end(all.back()->handles());
  sum.connections = all.size() * race_round::width;
  return sum;
}

}  // namespace

TEST_SUITE("wire/race") {
  TEST_CASE(
      "sends by every way race every way to end: nothing follows a Close frame, every send has one "
      "outcome, what was written arrives, and nothing is left [RFC 6455 5.5.1]") {
    const auto seed = some_seed();
    CAPTURE(seed);
    { const live_server warm{{.threads = 2}}; }  // what a process opens once is open now
    const auto before = open_descriptors();
    for (const unsigned loops : {1U, 2U}) {
      CAPTURE(loops);
      const auto sum = race({.threads = loops}, plain_client, rounds(250), seed + loops);
      CHECK(sum.cut_short > sum.connections / 10);  // else it was no race
      MESSAGE(loops << " loop(s): " << sum.connections << " connections, " << sum.cut_short
                    << " ended amid sends; " << sum.sends << " sends, " << sum.written
                    << " written, " << sum.received << " received");
    }
    CHECK(open_descriptors() == before);
  }

  TEST_CASE("the same over TLS") {
    const auto seed = some_seed();
    CAPTURE(seed);
    const certified files;
    const auto client = [&](const std::string& address, int receive_buffer) {
      return tls_client(address, {.ca_file = files.ca_file}, receive_buffer);
    };
    const auto sum =
        race({.threads = 2, .tls = {.certificate = files.certificate, .key = files.key}}, client,
             rounds(40), seed);
    CHECK(sum.cut_short > sum.connections / 10);
  }
}

}  // namespace fairlead::test
