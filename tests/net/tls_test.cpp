#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "net/tls_context.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/tls_layer.hpp"

using namespace fairlead;
using namespace std::chrono_literals;
using net::tls_context;
using test::raw_client;

TEST_SUITE_BEGIN("net/tls");

namespace {

/// Lines as `level event key=value ...`, from any thread.
struct awaited_log final : log {
  bool enabled(severity) const noexcept override { return true; }
  void write(severity level, std::string_view event,
             std::span<const log_field> fields) noexcept override {
    std::string text = std::string(to_string(level)) + ' ' + std::string(event);
    for (const auto& f : fields)
      if (const auto* value = std::get_if<std::string_view>(&f.value))
        text.append(" ").append(f.key).append("=").append(*value);
    lines.add(text);
  }
  test::diary lines;
};

/// A server that echoes, over TLS.
struct tls_server {
  explicit tls_server(tls_options more = {}, limits bounds = {},
                      const test::certificate_plan& plan = {})
      : files(plan), server(bounds, logger, context = make(more)) {
    server->prepare = [](test::line& l) {
      l.received = [](test::line& to, const message& m) {
        to.send(m);
        to.flush();
      };
    };
  }
  [[nodiscard]] test::tls_client_options trusting() const { return {.ca_file = files.ca_file}; }
  [[nodiscard]] std::string address() const { return server->address(); }
  [[nodiscard]] raw_client client() const { return test::tls_client(address(), trusting()); }

  test::certified files;
  std::shared_ptr<awaited_log> logger = std::make_shared<awaited_log>();
  std::shared_ptr<tls_context> context;
  test::running_server server;

 private:
  std::shared_ptr<tls_context> make(tls_options o) const {
    o.certificate = files.certificate;
    o.key = files.key;
    return std::make_shared<tls_context>(o, logger);
  }
};

bool echoes(raw_client& client, const std::string& text = "still there?") {
  client.send(test::text_frame(text));
  const auto back = client.receive_frame();
  return back && back->payload == text;
}

std::string failure_of(const tls_options& o) {
  try {
    const tls_context made(o);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "none";
}

template <class Body>
std::string thrown_by(Body&& body) {
  try {
    body();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "nothing";
}

void write_file(const std::string& file, std::string_view text) { std::ofstream(file) << text; }

}  // namespace

// --- talking --------------------------------------------------------------------------------------------------------

TEST_CASE("TLS 1.2 and 1.3: messages of every size come back, and both sides say goodbye") {
  const tls_server server;
  auto how = server.trusting();
  SUBCASE("1.2") { how.version = TLS1_2_VERSION; }
  SUBCASE("1.3") { how.version = TLS1_3_VERSION; }
  auto [client, line] = server.server->connect(test::tls_client(server.address(), how));
  server.server->on_loop([&, l = line] {
    CHECK(l->link->tls() == (how.version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
  });
  for (const std::size_t size : {0U, 1U, 112U, 113U, 5'000U, 16'384U, 65'536U})
    CHECK(echoes(client, std::string(size, 'x')));
  client.send(test::close_frame(1000));
  CHECK(client.receive_frame()->is_close());
  line->reports.await("closed");
  CHECK(client.ends_here());
  CHECK(test::tls_of(client).goodbye());
  CHECK_FALSE(client.was_reset());
}

TEST_CASE("plain HTTP requests are answered over TLS, one after another") {
  const tls_server server;
  auto client = server.client();
  for (int i = 0; i < 2; ++i) {
    client.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n");
    CHECK(client.receive_reply().body == "GET /x? ");
  }
  client.send("GET /x HTTP/1.1\r\n\r\n");
  CHECK(client.receive_reply().status == 400);
  CHECK(client.ends_here());
  CHECK(test::tls_of(client).goodbye());
}

TEST_CASE("frames that come in one record, or cut into many, are all read") {
  const tls_server server;
  auto [client, line] = server.server->connect(server.client());
  std::string many;
  for (int i = 0; i < 500; ++i) many += test::text_frame(std::to_string(i));
  SUBCASE("one") { client.send(many); }
  SUBCASE("many") {
    for (const char c : many) client.send({&c, 1});
  }
  SUBCASE("records that arrive byte by byte") {
    std::string records;
    for (int i = 0; i < 500; ++i)
      records += client.layer()->wrap(test::text_frame(std::to_string(i)));
    for (const char c : records) client.send_raw({&c, 1});
  }
  for (int i = 0; i < 500; ++i) REQUIRE(client.receive_frame()->payload == std::to_string(i));
}

TEST_CASE("the client is offered HTTP/1.1 and nothing else [RFC 7301 3.2]") {
  const tls_server server;
  auto how = server.trusting();
  how.protocols = "\x02h2\x08http/1.1";
  const auto client = test::tls_client(server.address(), how);
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(test::tls_of(client).ssl(), &chosen, &size);
  CHECK(std::string(reinterpret_cast<const char*>(chosen), size) == "http/1.1");
  how.protocols = "\x02h2";
  CHECK(thrown_by([&] {
          test::tls_client(server.address(), how);
        }).find("no application protocol") != std::string::npos);
}

TEST_CASE("a client that asks for new keys gets them, amid messages [RFC 8446 4.6.3]") {
  const tls_server server;
  auto how = server.trusting();
  how.version = TLS1_3_VERSION;
  auto [client, line] = server.server->connect(test::tls_client(server.address(), how));
  for (int i = 0; i < 5; ++i) {
    SSL_key_update(test::tls_of(client).ssl(), SSL_KEY_UPDATE_REQUESTED);
    CHECK(echoes(client, std::to_string(i)));
  }
}

// --- full kernel buffers --------------------------------------------------------------------------------------------

namespace {

struct counting_receipt final : protocol::receipt_sink {
  void settle(send_result r) noexcept override { outcomes.add(r); }
  broadcast_summary outcomes;
};

/// Small ones, of which many make one record, and large ones, which make many records.
std::string sized(std::size_t i) {
  return std::to_string(i) + " " +
         std::string(i % 10 == 0 ? 50'000 : 10 * (i % 40), static_cast<char>('a' + i % 26));
}
constexpr std::size_t count = 3000;

void fill(const tls_server& server, const std::shared_ptr<test::line>& line,
          const std::shared_ptr<counting_receipt>& asked) {
  server.server->on_loop([&] {
    for (std::size_t i = 0; i < count; ++i) {
      line->send(message::text(sized(i)), asked);
      if (i % 50 == 0)
        line->flush();  // what waits for the kernel grows while a record is under way
    }
    line->flush();
    REQUIRE(line->link->queued_bytes() > 0);
    CHECK(asked->outcomes.addressed() < count);
  });
}

}  // namespace

TEST_CASE("a reader that stalls and goes on gets every byte, and every message is accounted for") {
  const tls_server server;
  constexpr int small_buffer = 4096;
  auto [client, line] =
      server.server->connect(test::tls_client(server.address(), server.trusting(), small_buffer));
  const auto asked = std::make_shared<counting_receipt>();
  fill(server, line, asked);
  SUBCASE("it only reads") {}
  SUBCASE("it also talks meanwhile") {
    for (int i = 0; i < 100; ++i) client.send(test::ping_frame("?"));
  }
  SUBCASE("it asks for new keys meanwhile") {
    for (int i = 0; i < 20; ++i) {
      SSL_key_update(test::tls_of(client).ssl(), SSL_KEY_UPDATE_REQUESTED);
      client.send(test::encode_frame(10, "a pong that nobody asked for"));
    }
  }
  for (std::size_t i = 0; i < count;) {
    const auto next = client.receive_frame();
    REQUIRE(next);
    if (next->opcode == 10) continue;
    REQUIRE(next->payload == sized(i));
    ++i;
  }
  CHECK(test::eventually([&, l = line] {
    bool done = false;
    server.server->on_loop([&] { done = l->link->queued_bytes() == 0; });
    return done;
  }));
  server.server->on_loop([&, l = line] {
    CHECK(asked->outcomes.count(send_result::written) == count);
    CHECK(l->written.messages == count);
  });
}

TEST_CASE("while the kernel is full: a Close waits behind what is queued; a reset fails the rest") {
  const tls_server server;
  auto [client, line] =
      server.server->connect(test::tls_client(server.address(), server.trusting(), 4096));
  const auto asked = std::make_shared<counting_receipt>();
  fill(server, line, asked);
  SUBCASE("Close") {
    server.server->on_loop([l = line] {
      l->link->send_close(close_code::normal, "");
      CHECK_FALSE(l->link->write(protocol::as_chunk(message::text("late"))));
      l->flush();
    });
    for (std::size_t i = 0; i < count; ++i) REQUIRE(client.receive_frame()->payload == sized(i));
    CHECK(client.receive_frame()->is_close());
    client.send(test::close_frame(1000));
    line->reports.await("closed");
    CHECK(client.ends_here());
  }
  SUBCASE("the oldest are dropped: what is in a record is not") {
    std::size_t left = 0;
    server.server->on_loop([&, l = line] {
      const auto gone = l->link->drop_oldest({count, SIZE_MAX});
      CHECK(gone.messages > 0);
      CHECK(asked->outcomes.count(send_result::overflow) == gone.messages);
      left = count - gone.messages;
      l->send(message::text("last"));
      l->flush();
    });
    for (std::size_t i = 0; i < left; ++i) REQUIRE(client.receive_frame()->payload == sized(i));
    CHECK(client.receive_frame()->payload == "last");
    client.close();
  }
  SUBCASE("reset") {
    client.reset();
    line->reports.await("failed");
    line->reports.await("observer destroyed");
    CHECK(asked->outcomes.addressed() == count);
    CHECK(asked->outcomes.count(send_result::failed) > 0);
  }
  SUBCASE("abort") {
    server.server->on_loop([&, l = line] {
      l->link->abort();
      CHECK(asked->outcomes.addressed() == count);
    });
    line->reports.await("observer destroyed");
  }
  CHECK(test::eventually([&] { return server.server->listener->sockets() == 0; }));
}

// --- ends -----------------------------------------------------------------------------------------------------------

TEST_CASE(
    "a client that goes without a Close frame is a loss, with a goodbye of TLS's or without") {
  const tls_server server;
  auto [client, line] = server.server->connect(server.client());
  SUBCASE("goodbye") {
    SSL_shutdown(test::tls_of(client).ssl());
    client.send_raw(client.layer()->outgoing());
  }
  SUBCASE("truncation") { client.finish_sending(); }
  SUBCASE("close") { client.close(); }
  CHECK(line->reports.await("failed").find("end of file without a Close frame") !=
        std::string::npos);
  CHECK(test::eventually([&] { return server.server->listener->sockets() == 0; }));
}

TEST_CASE("a record that was tampered with ends the connection") {
  const tls_server server;
  auto [client, line] = server.server->connect(server.client());
  auto record = client.layer()->wrap(test::text_frame("hello"));
  record.back() = static_cast<char>(record.back() ^ 1);
  client.send_raw(record);
  CHECK(line->reports.await("failed").find("TLS: ") != std::string::npos);
  CHECK(line->reports.count("text") == 0);
}

TEST_CASE("a handshake that breaks off with a reset leaves nothing behind") {
  const tls_server server;
  raw_client client(server.address());
  client.send(test::tls_layer({}).start().substr(0, 100));
  client.reset();
  CHECK(test::eventually([&] { return server.server->listener->sockets() == 0; }));
  auto [next, line] = server.server->connect(server.client());
  CHECK(echoes(next));
}

TEST_CASE("a client that does not answer in its handshake is cut off in time") {
  limits bounds;
  bounds.handshake_timeout = 2s;  // the client must have begun by then
  const tls_server server({}, bounds);
  raw_client client(server.address());
  client.send(test::tls_layer({}).start());
  REQUIRE(client.receive_some());
  client.receive_all();
  client.close();
  CHECK(test::eventually([&] { return server.server->listener->sockets() == 0; }));
}

TEST_CASE("a handshake that does not begin in time is cut off, and the log says so") {
  limits bounds;
  bounds.handshake_timeout = 100ms;
  const tls_server server({}, bounds);
  raw_client client(server.address());
  const auto hello = test::tls_layer({}).start();
  SUBCASE("nothing comes") {}
  SUBCASE("half of a hello comes") { (void)client.try_send(hello.substr(0, hello.size() / 2)); }
  CHECK(client.ends_here());
  client.close();
  CHECK(server.logger->lines.await("debug tls.failed").find("timed out") != std::string::npos);
  CHECK(server.server->hits->count(protocol::limit_hit::tls_failed) == 1);
  CHECK(test::eventually([&] { return server.server->listener->sockets() == 0; }));
}

TEST_CASE("plain HTTP on a TLS port is told so, and the log says who it was") {
  const tls_server server;
  raw_client client(server.address());
  client.send(raw_client::upgrade_request());
  const auto reply = client.receive_reply();
  CHECK(reply.status == 400);
  CHECK(reply.body == "this port speaks TLS: use https:// or wss://\n");
  CHECK(client.ends_here());
  CHECK(server.logger->lines.await("debug tls.failed").find("peer=127.0.0.1:") !=
        std::string::npos);
}

TEST_CASE("TLS on a plain port gets an alert, and the log says who it was") {
  const auto logger = std::make_shared<awaited_log>();
  const test::running_server server({}, logger);
  CHECK(thrown_by([&] { test::tls_client(server->address()); }).find("handshake failure") !=
        std::string::npos);
  CHECK(logger->lines.await("debug http.tls_refused").find("peer=127.0.0.1:") != std::string::npos);
}

TEST_CASE("bytes that are neither end the socket") {
  const tls_server server;
  raw_client client(server.address());
  client.send(std::string(500, '\xee'));
  client.receive_all();
  client.close();
  server.logger->lines.await("debug tls.failed");
  CHECK(test::eventually([&] { return server.server->listener->sockets() == 0; }));
}

TEST_CASE("what waits when the listener stops is dropped, in every phase") {
  const auto before = test::open_descriptors();
  {
    const tls_server server;
    const auto [open, line] = server.server->connect(server.client());
    const auto in_http = server.client();
    raw_client in_handshake(server.address());
    in_handshake.send(test::tls_layer({}).start());
    REQUIRE(in_handshake.receive_some());
    server.server->listener->stop();
    CHECK(line->reports.await("failed").find("the listener was stopped") != std::string::npos);
    CHECK(server.server->listener->sockets() == 0);
  }
  CHECK(test::open_descriptors() == before);
}

// --- who is who -----------------------------------------------------------------------------------------------------

TEST_CASE("a client that does not find whom it expects goes, and hurts nobody") {
  const tls_server server;
  auto [other, line] = server.server->connect(server.client());
  SUBCASE("another name") {
    auto how = server.trusting();
    how.name = "example.com";
    CHECK(thrown_by([&] { test::tls_client(server.address(), how); }).find("certificate") !=
          std::string::npos);
    server.logger->lines.await("debug tls.failed");
  }
  SUBCASE("an authority that it does not know") {
    const test::certified others;
    CHECK(thrown_by([&] {
            test::tls_client(server.address(), {.ca_file = others.ca_file});
          }).find("certificate") != std::string::npos);
    CHECK(server.logger->lines.await("debug tls.failed").find("alert") != std::string::npos);
  }
  CHECK(echoes(other));
  CHECK(test::eventually([&] { return server.server->listener->sockets() == 1; }));
}

TEST_CASE("a client that only speaks an older version than is allowed is refused") {
  const tls_server server({.min_version = tls_version::tls_1_3});
  auto how = server.trusting();
  how.version = TLS1_2_VERSION;
  CHECK(thrown_by([&] { test::tls_client(server.address(), how); }).find("protocol version") !=
        std::string::npos);
  server.logger->lines.await("debug tls.failed");
  how.version = TLS1_3_VERSION;
  CHECK_NOTHROW(test::tls_client(server.address(), how));
}

TEST_CASE(
    "mutual TLS: who shows no certificate, or another's, is refused; who shows one is named") {
  const test::certified clients;
  const tls_server server({.client_ca = clients.ca_file});
  std::string seen = "nothing";
  server.server->on_upgrade = [&](const upgrade_request& r, const auto&) {
    seen = r.certificate;
    return net::http_response{403, "text/plain", "seen", {}};
  };
  auto how = server.trusting();
  const auto answer = [&] {
    auto client = test::tls_client(server.address(), how);
    client.send(raw_client::upgrade_request());
    return client.receive_reply().status;
  };
  SUBCASE("none") { CHECK_THROWS(answer()); }
  SUBCASE("of another authority") {
    const test::certified others;
    const auto stranger = test::make_identity({.name = "ann"}, &others.authority);
    how.shows = &stranger;
    CHECK_THROWS(answer());
  }
  SUBCASE("expired") {
    const auto late = test::make_identity({.name = "ann", .until = -1s}, &clients.authority);
    how.shows = &late;
    CHECK_THROWS(answer());
  }
  SUBCASE("good") {
    const auto ann = test::make_identity({.name = "ann"}, &clients.authority);
    how.shows = &ann;
    CHECK(answer() == 403);
    CHECK(seen == "CN=ann");
    return;
  }
  CHECK(seen == "nothing");
  server.logger->lines.await("debug tls.failed");
}

// --- files ----------------------------------------------------------------------------------------------------------

TEST_CASE("what is wrong with a file is said, with its name") {
  test::certified good;
  tls_options o{.certificate = good.certificate, .key = good.key};
  const auto says = [&](const std::string& text) {
    const auto what = failure_of(o);
    CHECK_MESSAGE(what.find(text) != std::string::npos, what);
  };
  SUBCASE("nothing") { CHECK(failure_of(o) == "none"); }
  SUBCASE("no certificate there") {
    o.certificate = good.folder.file("missing.pem");
    says("cannot read the certificate file \"" + o.certificate + "\": No such file");
  }
  SUBCASE("no key there") {
    o.key = good.folder.file("missing.key");
    says("cannot read the key file \"" + o.key + "\": No such file");
  }
  SUBCASE("no client CA there") {
    o.client_ca = good.folder.file("missing.pem");
    says("cannot read the client CA file \"" + o.client_ca + "\": No such file");
  }
  SUBCASE("a certificate file without one") {
    write_file(good.certificate, "hello\n");
    says('"' + good.certificate + "\" has no usable certificate");
  }
  SUBCASE("a key file without one") {
    write_file(good.key, "hello\n");
    says('"' + good.key + "\" has no usable private key");
  }
  SUBCASE("a client CA file without one") {
    o.client_ca = good.folder.file("empty.pem");
    write_file(o.client_ca, "");
    says('"' + o.client_ca + "\" has no usable certificate");
  }
  SUBCASE("another's key") {
    write_key(good.key, test::make_identity({}));
    says("the key in \"" + good.key + "\" does not belong to the certificate in \"" +
         good.certificate + '"');
  }
  SUBCASE("a key of another kind") {
    test::write_key(good.key, {test::evp_key(EVP_RSA_gen(2048)), nullptr});
    says("the key in \"" + good.key + "\" does not belong to the certificate in \"" +
         good.certificate + '"');
  }
  SUBCASE("a key with a passphrase, which nobody is asked for") {
    write_key(good.key, test::make_identity({}), "secret");
    says('"' + good.key + "\" has no usable private key in PEM without a passphrase");
  }
}

TEST_CASE("a certificate out of its time is used, with a warning") {
  const char* event = nullptr;
  test::certificate_plan plan;
  SUBCASE("expired") {
    plan.until = -1s;
    event = "warning tls.certificate_expired";
  }
  SUBCASE("not valid yet") {
    plan.from = 1h;
    event = "warning tls.certificate_not_valid_yet";
  }
  SUBCASE("good") { event = "info tls.certificate_loaded"; }
  const tls_server server({}, {}, plan);
  CHECK(server.logger->lines.await(event).find("file=" + server.files.certificate) !=
        std::string::npos);
  auto client = test::tls_client(server.address());  // one that trusts everybody
  CHECK(client.upgrade().status == 101);
}

TEST_CASE("a reload shows the new certificate to new clients and drops nobody; a bad one changes "
          "nothing") {
  tls_server server;
  const auto name_now = [&] {
    const auto client = test::tls_client(server.address());
    return test::tls_of(client).server_name();
  };
  auto [old, line] = server.server->connect(server.client());
  CHECK(name_now() == "localhost");

  server.files.replace({.name = "renewed"});
  CHECK(name_now() == "localhost");  // not before it is asked for
  server.context->reload();
  CHECK(name_now() == "renewed");
  CHECK(echoes(old));

  write_file(server.files.key, "hello\n");
  CHECK(thrown_by([&] { server.context->reload(); }).find(server.files.key) != std::string::npos);
  CHECK(name_now() == "renewed");
  CHECK(echoes(old));

  server.files.replace({.name = "renewed again"});
  server.context->reload();
  CHECK(name_now() == "renewed again");
  CHECK(echoes(old));
  CHECK(line->reports.count("failed") == 0);
}

TEST_SUITE_END();
