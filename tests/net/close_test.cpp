#include <chrono>
#include <memory>
#include <string>

#include <doctest/doctest.h>
#include <sys/ioctl.h>

#include "tests/net/hand_turned_loop.hpp"
#include "tests/net/test_server.hpp"

using namespace fairlead;
using namespace std::chrono_literals;
using test::raw_client;

TEST_SUITE_BEGIN("net/close");

namespace {

struct counting_receipt final : protocol::receipt_sink {
  void settle(send_result r) noexcept override { outcomes.add(r); }
  broadcast_summary outcomes;
};

/// Exactly one Close frame, and nothing after it; returns it.
test::frame only_close(raw_client& client) {
  auto close = client.receive_frame();
  REQUIRE(close);
  CHECK(close->is_close());
  CHECK(client.ends_here());
  CHECK_FALSE(client.was_reset());
  return *close;
}

}  // namespace

TEST_CASE("the peer closes: answered with its code, reported, one Close frame and then the end "
          "[RFC 6455 5.5.1]") {
  const test::running_server server;
  auto [client, line] = server->connect();
  SUBCASE("with a code and a reason") {
    client.send(test::close_frame(1001, "bye"));
    CHECK(only_close(client).close_code() == 1001);
    CHECK(line->reports.await("peer closed") == "peer closed 1001 bye");
  }
  SUBCASE("with a code of the application's") {
    client.send(test::close_frame(4999));
    CHECK(only_close(client).close_code() == 4999);
    CHECK(line->reports.await("peer closed") == "peer closed 4999 ");
  }
  SUBCASE("with the code that only a client may begin with") {
    client.send(test::close_frame(1010));
    CHECK(only_close(client).close_code() == 1010);
    CHECK(line->reports.await("peer closed") == "peer closed 1010 ");
  }
  SUBCASE("without a code") {
    client.send(test::encode_frame(8, ""));
    only_close(client);
    CHECK(line->reports.await("peer closed") == "peer closed 1005 ");
  }
  line->reports.await("observer destroyed");
  CHECK(line->reports.lines().size() == 4);  // upgraded, peer closed, closed, observer destroyed
  client.close();
  CHECK(test::eventually([&] { return server->listener->sockets() == 0; }));
}

TEST_CASE("we close: what is queued goes first, the peer's answer ends it, and Beast's answer to "
          "that never leaves") {
  const test::running_server server;
  auto [client, line] = server->connect();
  server->on_loop([l = line] {
    l->send(message::text("last words"));
    l->link->send_close(close_code::normal, "done");
    CHECK_FALSE(l->link->write(protocol::as_chunk(message::text("too late"))));
    l->flush();
  });
  CHECK(client.receive_frame()->payload == "last words");
  const auto close = client.receive_frame();
  CHECK(close->close_code() == 1000);
  CHECK(close->close_reason() == "done");
  client.send(test::text_frame("still talking") + test::close_frame(1000, "done"));
  line->reports.await("observer destroyed");
  CHECK(line->reports.lines() == std::vector<std::string>{"upgraded", "text still talking",
                                                          "peer closed 1000 done", "closed",
                                                          "observer destroyed"});
  CHECK(client.ends_here());
}

TEST_CASE("both close at once: one Close frame of ours, nothing after it") {
  const test::running_server server;
  for (int round = 0; round < 100; ++round) {
    auto [client, line] = server->connect();
    server->loop->post([l = line] {
      l->send(message::text("x"));
      l->link->send_close(close_code::going_away, "");
      l->flush();
    });
    client.send(test::close_frame(1000));
    std::size_t closes = 0;
    while (const auto next = client.receive_frame()) {
      CHECK(closes == 0);
      closes += next->is_close() ? 1 : 0;
    }
    CHECK(closes == 1);
    line->reports.await("observer destroyed");
    CHECK(line->reports.count("closed") == 1);
  }
}

TEST_CASE("a Close lifts a pause: the answer must be read") {
  const test::running_server server;
  server->prepare = [](test::line& l) { l.upgraded = [](test::line&) {}; };
  auto [client, line] = server->connect();
  client.send(test::text_frame("unread"));
  server->on_loop([l = line] {
    l->link->send_close(close_code::normal, "");
    l->link->pause_reading();
    l->flush();
  });
  CHECK(client.receive_frame()->is_close());
  client.send(test::close_frame(1000));
  line->reports.await("closed");
}

TEST_CASE("a Close that is asked for before the upgrade is complete follows the 101 response") {
  const test::running_server server;
  server->on_upgrade = [](const auto&, auto& turn) {
    auto opened = std::make_shared<test::line>();
    opened->link = turn.take();
    opened->link->send_close(close_code::try_again_later, "full");
    opened->link->open(std::make_unique<test::recording_observer>(opened));
    opened->link->flush();
    return std::nullopt;
  };
  raw_client client(server->address());
  client.upgrade();
  CHECK(client.receive_frame()->close_code() == 1013);
}

TEST_CASE("the end of file without a Close frame is a failure, and so is a reset") {
  const test::running_server server;
  auto [client, line] = server->connect();
  SUBCASE("end of file") {
    client.finish_sending();
    CHECK(line->reports.await("failed").ends_with("end of file without a Close frame"));
    CHECK(client.ends_here());
  }
  SUBCASE("within a frame") {
    client.send(test::text_frame("half").substr(0, 4));
    client.finish_sending();
    CHECK(line->reports.await("failed").ends_with("end of file without a Close frame"));
  }
  SUBCASE("reset") {
    client.reset();
    CHECK(line->reports.await("failed").find("reset") != std::string::npos);
  }
  SUBCASE("after our Close") {
    server->on_loop([l = line] {
      l->link->send_close(close_code::normal, "");
      l->flush();
    });
    CHECK(client.receive_frame()->is_close());
    client.close();
    line->reports.await("failed");
  }
  line->reports.await("observer destroyed");
  CHECK(line->reports.count("failed") == 1);
  CHECK(line->reports.count("closed") == 0);
}

TEST_CASE("writing to a peer that is gone fails the link, a turn later, and settles what is left") {
  const test::running_server server;
  server->prepare = [](test::line& l) {
    l.upgraded = [](test::line&) {};
  };  // not read: only writing can notice
  auto [client, line] = server->connect();
  const auto asked = std::make_shared<counting_receipt>();
  client.reset();
  std::uint64_t sent = 0;
  bool reported_inside = false;
  while (line->reports.count("failed") == 0) {
    server->on_loop([&, l = line] {
      for (int i = 0; i < 10; ++i) {
        if (l->link->write(protocol::as_chunk(message::text("x"), asked))) ++sent;
      }
      l->flush();
      reported_inside |=
          l->reports.count("failed") > 0 && l->link->write(protocol::as_chunk(message::text("x")));
    });
  }
  CHECK_FALSE(reported_inside);
  line->reports.await("observer destroyed");
  CHECK(asked->outcomes.addressed() == sent);
  CHECK(asked->outcomes.count(send_result::failed) > 0);
}

TEST_CASE("abort drops the socket at once, reports nothing more and destroys the observer") {
  const test::running_server server;
  auto [client, line] = server->connect();
  const auto asked = std::make_shared<counting_receipt>();
  server->on_loop([&, l = line] {
    l->send(message::text("never flushed"), asked);
    l->link->abort();
    CHECK(l->reports.count("observer destroyed") == 0);  // not within the call
    CHECK(server->listener->sockets() == 0);
    l->link->abort();
    l->link->send_close(close_code::normal, "");
    l->link->resume_reading();
    l->link->pause_reading();
    CHECK(l->link->flush().messages == 0);
    CHECK_FALSE(l->link->write(protocol::as_chunk(message::text("x"))));
    CHECK(l->link->queued_bytes() == 0);
  });
  CHECK(asked->outcomes.count(send_result::failed) == 1);
  CHECK(client.ends_here());
  line->reports.await("observer destroyed");
  CHECK(line->reports.lines() == std::vector<std::string>{"upgraded", "observer destroyed"});
}

TEST_CASE("abort from within a report is safe") {
  const test::running_server server;
  server->prepare = [](test::line& l) {
    l.received = [](test::line& line, const message&) { line.link->abort(); };
  };
  auto [client, line] = server->connect();
  client.send(test::text_frame("1") + test::text_frame("2"));
  line->reports.await("observer destroyed");
  CHECK(line->reports.count("text") == 1);
}

TEST_CASE("the peer that reads late still reads everything before the end") {
  const test::running_server server;
  auto [client, line] = server->connect();
  server->on_loop([l = line] {
    for (int i = 0; i < 100; ++i) l->send(message::text("words"));
    l->link->send_close(close_code::normal, "");
    l->flush();
  });
  // What we send after the server has ended must not make it reset the connection.
  client.send(test::close_frame(1000));
  line->reports.await("closed");
  client.send(std::string(100'000, 'x'));
  for (int i = 0; i < 100; ++i) CHECK(client.receive_frame()->payload == "words");
  only_close(client);
}

TEST_CASE("a peer that never ends is read until lingering is over, and no longer") {
  const auto lingers_for = [](std::chrono::milliseconds close_timeout) {
    limits bounds;
    bounds.close_timeout = close_timeout;
    test::hand_turned_link l(bounds);
    l.peer_sends(test::close_frame(1000));
    CHECK(l.line->reports.count("closed") == 1);
    std::chrono::milliseconds waited{0};
    // It takes no bytes once its socket is closed.
    for (; waited < 1min && l.peer_sends("x") == 1; waited += 100ms) l.loop->advance(100ms);
    CHECK(l.loop->timers() == 0);
    return waited;
  };
  CHECK(lingers_for(5s) == 2s);
  CHECK(lingers_for(500ms) == 500ms);
}

TEST_CASE("nothing is left: no descriptor, no link, no line") {
  const auto before = test::open_descriptors();
  {
    const test::running_server server;
    const auto idle = test::open_descriptors();
    for (int round = 0; round < 20; ++round) {
      auto [client, line] = server->connect();
      const std::weak_ptr<protocol::link> link = line->link;
      const std::weak_ptr<test::line> weak_line = line;
      switch (round % 4) {
      case 0: client.send(test::close_frame(1000)); break;
      case 1: client.reset(); break;
      case 2: server->on_loop([l = line] { l->link->abort(); }); break;
      default: client.send(test::text_frame("\xff")); break;
      }
      line->reports.await("observer destroyed");
      line.reset();
      server->forget_lines();
      client.close();
      CHECK(test::eventually([&] { return link.expired() && weak_line.expired(); }));
    }
    CHECK(test::eventually([&] { return server->listener->sockets() == 0; }));
    CHECK(test::open_descriptors() == idle);
  }
  CHECK(test::open_descriptors() == before);
}

TEST_CASE("a listener that stops drops its links, which fail, and what still holds one is safe") {
  std::shared_ptr<test::line> kept;
  {
    const test::running_server server;
    auto [client, line] = server->connect();
    auto [closing, closing_line] = server->connect();
    closing.send(test::close_frame(1000));
    closing_line->reports.await("closed");
    CHECK(server->listener->sockets() == 2);  // one of them lingers
    server->listener->stop();
    CHECK(server->listener->sockets() == 0);
    CHECK(client.ends_here());
    line->reports.await("failed");
    kept = line;
  }
  CHECK_FALSE(kept->link->write(protocol::as_chunk(message::text("x"))));
  kept->link->abort();
}

TEST_SUITE_END();
