// A client's bytes from the HTTP request to the last frame, against the real HTTP session and the real link: over a pair of
// sockets, on a loop that is turned by hand, with a clock that stands still unless the input moves it. The first bytes of the
// input say how the rest is cut, what the application does, and whether the rest begins with a request of its own.
//
// Promised: what the server writes is HTTP and, after a 101, frames; nothing behind a Close frame. What the application is told
// is what the bytes mean (client_input), however they were cut. When the client has finished, the server lets go of the socket.
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include "net/http_session.hpp"
#include "tests/fuzz/client_input.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/server_output.hpp"
#include "tests/net/hand_turned_loop.hpp"
#include "tests/support/zlib_peer.hpp"

namespace fairlead::fuzz {
namespace {

using namespace std::chrono_literals;

/// What the first bytes of the input decide.
struct plan {
  explicit plan(input& in) {
    const auto flags = in.byte();
    compression = (flags & 1U) != 0;
    upgrades = (flags & 2U) != 0;
    builds_frames = (flags & 4U) != 0;
    echoes = (flags & 8U) != 0;
    tight = (flags & 16U) != 0;
    slow = (flags & 32U) != 0;
    pauses = (flags & 64U) != 0;
    resets = (flags & 128U) != 0;
    cut = in.byte();
    const auto then = in.byte();
    after = then & 15U;
    act = static_cast<action>(then >> 4U & 3U);
    waits = (then & 0xc0U) == 0xc0U;
  }
  enum class action : std::uint8_t { nothing, close, abort, fail };

  bool compression;    ///< on
  bool upgrades;       ///< a good upgrade request stands before the rest of the input
  bool builds_frames;  ///< the rest is made into masked frames of right lengths
  bool echoes;         ///< the application sends what it gets
  bool tight;          ///< small limits, small buffers
  bool slow;           ///< the client reads when it has sent everything
  bool pauses;         ///< the application pauses reading after each message
  bool resets;         ///< the client closes its socket at the end, instead of its sending side
  bool waits;          ///< time passes between pieces
  unsigned cut;        ///< 0: in one piece
  unsigned after;      ///< this many messages the application does something else:
  action act;

  /// Whether what the application is told depends on the client's bytes alone.
  [[nodiscard]] bool quiet() const { return act == action::nothing && !waits && !resets; }
};

limits bounds_of(const plan& p) {
  limits bounds;
  if (!p.tight) return bounds;
  bounds.max_message_size = 300;
  bounds.max_fragments = 3;
  bounds.max_header_size = 512;
  bounds.max_header_count = 8;
  return bounds;
}

/// The application at one end of a link. Outlives the link and its observer.
struct application {
  explicit application(const plan& p) : how(p) {}

  const plan& how;
  std::shared_ptr<protocol::link> link;
  std::vector<client_input::received> received;
  std::optional<unsigned> violation, peer_close;
  bool upgraded = false, ended = false, broke = false, paused = false;

  void take(const message& m) {
    received.push_back({m.kind(), std::string(m.view())});
    if (how.pauses) link->pause_reading(), paused = true;
    if (how.echoes && !link->sealed()) {
      (void)link->write(protocol::as_chunk(m));
      link->flush();
    }
    if (received.size() == how.after + 1) act();
  }
  void act() {
    switch (how.act) {
    case plan::action::nothing: return;
    case plan::action::close:
      link->send_close(close_code::normal, "enough");
      (void)link->write(protocol::as_chunk(message::text("behind the Close")));
      link->flush();
      return;
    case plan::action::abort:
      ended = true;  // nothing more is told
      return link->abort();
    case plan::action::fail: throw std::runtime_error("the application has failed");
    }
  }
  void go_on() {
    if (std::exchange(paused, false)) link->resume_reading();
  }
};

class observer final : public protocol::link_observer {
 public:
  explicit observer(application& a) : to_(a) {}

  void on_upgraded() override {
    promise(!std::exchange(to_.upgraded, true), "upgraded once");
    to_.link->resume_reading();
  }
  void on_message(message m) override {
    alive();
    to_.take(m);
  }
  void on_progress(protocol::progress) override { there(); }  // also of what is before a Close
  void on_peer_close(close_code code, std::string) override {
    alive();
    promise(to_.link->sealed(), "a peer's Close is answered before it is told of");
    to_.peer_close = static_cast<unsigned>(code);
  }
  void on_violation(close_code code, std::string what) override {
    alive();
    promise(to_.link->sealed() && !what.empty(), "a violation is answered with a Close");
    to_.violation = static_cast<unsigned>(code);
  }
  void on_limit(close_code code, std::string reason) override {
    alive();
    to_.link->send_close(code, reason);
    to_.link->flush();
  }
  void on_closed() override { end(); }
  void on_failed(std::error_code ec, std::string what) override {
    promise(ec && !what.empty(), "a failure is one");
    to_.broke = true;
    end();
  }

 private:
  void there() const {
    promise(to_.upgraded && !to_.ended, "nothing is told before upgraded or after the end");
  }
  void alive() const {
    there();
    promise(!to_.violation && !to_.peer_close, "nothing but the end after a Close or violation");
  }
  void end() { promise(!std::exchange(to_.ended, true), "the end is told once"); }
  application& to_;
};

/// Serves the requests of one socket; those to /ws become the application's link.
class service final : public net::http_service {
 public:
  explicit service(application& a) : application_(a) {}
  void handle(const net::http_request& request, net::respond respond) override {
    heads.push_back(request.method == "HEAD");
    if (request.path == "/throw") throw std::runtime_error("the service has failed");
    if (request.path == "/silent") return;
    respond({200, "text/plain", request.method + " " + request.path + request.body, {}});
  }
  std::optional<net::http_response> upgrade(std::size_t, const upgrade_request& request,
                                            net::upgrade_turn& turn) override {
    if (request.path == "/throw") throw std::runtime_error("the service has failed");
    if (request.path == "/drop") return turn.take(), std::nullopt;
    if (request.path != "/ws") return net::http_response{403, "text/plain", "no", {}};
    application_.link = turn.take();
    application_.link->open(std::make_unique<observer>(application_));
    return std::nullopt;
  }
  std::deque<bool> heads;  ///< of the requests that were handled, whether they were HEAD

 private:
  application& application_;
};

/// The client, and all that is between it and the application.
class stage {
 public:
  stage(const plan& p, std::string_view said)
      : how_(p),
        output_(service_->heads, said.find("HEAD ") != std::string_view::npos, p.compression) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) abort();
    if (const int small = 4096; how_.tight)
      ::setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    client_ = pair[1];
    net::serve_http({net::tcp_socket(loop_->sockets(), pair[0]), nullptr}, {}, group_, service_,
                    1024);
  }
  ~stage() {
    group_->drop_all();
    application_.link.reset();
    loop_->run();
    if (client_ >= 0) ::close(client_);
  }
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;

  void send(std::string_view bytes) {
    unsigned state = how_.cut;
    const auto least = 1 + bytes.size() / most_pieces;
    while (!bytes.empty() && !gone_) {
      state = state * 1'103'515'245U + 12'345U;
      const auto most = how_.cut == 0 ? bytes.size() : least + (state >> 16U) % how_.cut;
      auto piece = bytes.substr(0, most);
      bytes.remove_prefix(piece.size());
      for (int tries = 0; !piece.empty() && !gone_; ++tries) {
        promise(tries < 10'000, "a client that reads can send");
        const auto n = ::send(client_, piece.data(), piece.size(), MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) gone_ = true;
        if (n > 0) piece.remove_prefix(static_cast<std::size_t>(n));
        turn(tries >= patience);
      }
      if (how_.waits) loop_->advance(1s);
    }
  }

  /// The client says that it has finished, and reads to the end.
  void finish() {
    if (how_.resets) {
      ::close(std::exchange(client_, -1));
      gone_ = true;
      for (int turns = 0; turns < 10'000 && crowd_->total() > 0; ++turns) turn();
    } else {
      ::shutdown(client_, SHUT_WR);
      turn(true);
      for (int turns = 0; turns < 10'000 && (!gone_ || crowd_->total() > 0); ++turns) turn(true);
      promise(gone_, "a server whose client has finished closes the socket");
    }
    promise(crowd_->total() == 0, "and counts it no longer");
    promise(loop_->timers() == 0, "and no timer of it runs");
  }

  /// What the application was told, against what the client said behind its request.
  void compare(std::string_view said) {
    promise(!application_.upgraded || application_.ended, "every link's end is told");
    const client_input meant(said, how_.compression, bounds_.max_message_size,
                             bounds_.max_fragments);
    const auto& told = application_.received;
    promise(told.size() <= meant.messages().size() &&
                std::equal(told.begin(), told.end(), meant.messages().begin()),
            "messages are what was sent, in order");
    // Fragments are counted as bytes come, also those behind what is wrong in another way and came with it.
    const bool counted = application_.violation == 1008U;
    promise(!counted || meant.too_many_fragments() || meant.violation(), "1008 has a reason");
    const bool exact = how_.quiet() && !counted && !meant.too_many_fragments();
    check_output(meant, exact);
    if (!exact) return;
    promise(told.size() == meant.messages().size(), "no message is lost");
    same(application_.violation, meant.violation(), "a violation is told with its code");
    same(application_.peer_close, meant.close(), "a Close is told with its code");
    promise(application_.broke == (!meant.violation() && !meant.close()), "how it ended");
    promise(output_.closed() != application_.broke && output_.whole(), "a Close is on the wire");
  }

  /// What needs no knowledge of what was said.
  void check_end() const {
    promise(!application_.upgraded || output_.upgraded() || how_.resets, "a 101 is written");
    promise(application_.broke || how_.resets || how_.waits || output_.whole() ||
                how_.act == plan::action::abort,
            "what is written ends with a whole frame");
  }

 private:
  static constexpr std::size_t most_pieces = 4096;  // each takes a turn of the loop
  static constexpr int patience = 10;               // then also who is slow reads

  static void same(std::optional<unsigned> told, std::optional<unsigned> meant, const char* what) {
    if (told != meant)
      promise(false, std::string(what) + ": " + std::to_string(told.value_or(0)) + ", not " +
                         std::to_string(meant.value_or(0)));
  }
  void turn(bool reads = false) {
    loop_->run();
    if (application_.link && !application_.ended) application_.go_on();
    loop_->run();
    if ((reads || !how_.slow) && client_ >= 0) read();
  }
  void read() {
    char buffer[16 * 1024];
    ssize_t n = 0;
    while ((n = ::recv(client_, buffer, sizeof buffer, 0)) > 0) {
      output_.read({buffer, static_cast<std::size_t>(n)});
      loop_->run();
    }
    // Where the server has not read everything, the end is a reset.
    if (n == 0 || errno != EAGAIN) gone_ = true;
  }

  /// Pongs and echoes are what was asked for, in order; some may be missing where it ended early.
  void check_output(const client_input& meant, bool exact) const {
    std::size_t pongs = 0, echoes = 0;
    for (const auto& f : output_.frames()) {
      if (f.opcode == 10) {
        promise(pongs < meant.pings().size() && f.payload == meant.pings()[pongs],
                "a pong answers a ping (RFC 6455 5.5.3)");
        ++pongs;
      } else if (f.opcode <= 2) {
        const auto& sent = application_.received;
        promise(echoes < sent.size(), "only what was sent is written");
        const auto payload = f.compressed ? test::inflated(f.payload) : f.payload;
        promise(static_cast<unsigned>(sent[echoes].kind) == f.opcode &&
                    payload == sent[echoes].payload,
                "and it is what was sent");
        ++echoes;
      }
    }
    if (exact && !application_.broke)
      promise(pongs == meant.pings().size() && (!how_.echoes || echoes == meant.messages().size()),
              "everything before a Close is written");
  }

  const plan& how_;
  const limits bounds_ = bounds_of(how_);
  application application_{how_};
  std::shared_ptr<test::hand_turned_loop> loop_ = std::make_shared<test::hand_turned_loop>();
  std::shared_ptr<net::crowd> crowd_ = std::make_shared<net::crowd>();
  std::shared_ptr<net::socket_group> group_ = std::make_shared<net::socket_group>(
      loop_, std::make_shared<protocol::live_limits>(bounds_),
      std::make_shared<protocol::limit_hits>(), nullptr, crowd_,
      compression_options{.enabled = how_.compression, .min_size = 16});
  std::shared_ptr<service> service_ = std::make_shared<service>(application_);
  server_output output_;
  int client_ = -1;
  bool gone_ = false;
};

/// Masked frames of right lengths: a byte for the first byte, one for the length and the mask, then the payload. In the first
/// byte RSV2, which means nothing, asks for a compressed payload.
std::string frames_of(input& in) {
  std::string bytes;
  while (!in.empty()) {
    auto first = in.byte();
    const auto size = in.byte();
    std::string payload(in.text(size & 127U));
    if ((size & 128U) != 0)
      for (int doublings = static_cast<int>(in.up_to(8)); doublings > 0; --doublings)
        payload += payload;
    if ((first & 0x20U) != 0) {
      payload = test::deflated(payload, 15, (size & 1U) != 0);
      first = static_cast<std::uint8_t>((first & ~0x20U) | 0x40U);
    }
    bytes += static_cast<char>(first);
    const std::size_t n = payload.size(), width = n > 65'535 ? 8 : n > 125 ? 2 : 0;
    bytes += static_cast<char>(0x80U | (width == 8 ? 127 : width == 2 ? 126 : n));
    for (auto i = width; i-- > 0;) bytes += static_cast<char>(n >> 8U * i);
    const std::string key{static_cast<char>(size), 0, 'k', static_cast<char>(first)};
    bytes += key;
    for (std::size_t i = 0; i < n; ++i) bytes += static_cast<char>(payload[i] ^ key[i % 4]);
  }
  return bytes;
}

std::string upgrade_request_of(const plan& p) {
  std::string request = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  if (p.compression) request += "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  return request + "\r\n";
}

}  // namespace
}  // namespace fairlead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fairlead::fuzz;
  input in(data, size);
  const plan how(in);
  const auto request = how.upgrades ? upgrade_request_of(how) : std::string();
  const auto said = how.builds_frames ? frames_of(in) : std::string(in.rest());
  stage s(how, said);
  s.send(request + said);
  s.finish();
  s.check_end();
  if (how.upgrades) s.compare(said);
  return 0;
}
