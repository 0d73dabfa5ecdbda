#include "net/link.hpp"

#include <algorithm>
#include <exception>
#include <span>

#include "net/basic_link.hpp"
#include "net/http_message.hpp"
#include "net/linger.hpp"
#include "protocol/utf8.hpp"

namespace fairlead::net {
namespace {

namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;

/// What lingers is the TCP socket, whatever lay on it.
tcp_socket tcp_of(tcp_socket& socket) { return std::move(socket); }
tcp_socket tcp_of(tls_socket& socket) { return socket.release(); }

tcp_socket tcp_of(deflate_socket& socket) { return socket.below().release(); }

std::string_view tls_of(const tcp_socket&) { return {}; }
std::string_view tls_of(const tls_socket& socket) { return socket.version(); }
std::string_view tls_of(const deflate_socket& socket) { return socket.below().version(); }

std::size_t begun_in(const tcp_socket&) { return 0; }
std::size_t begun_in(const tls_socket& socket) { return socket.begun(); }
std::size_t begun_in(const deflate_socket& socket) { return socket.below().begun(); }

/// The code in a server's Close frame, if these bytes are one and it has a code.
std::optional<close_code> code_in_close(std::string_view frame) {
  if (frame.size() < 4 || frame[0] != '\x88') return std::nullopt;
  return close_code(static_cast<unsigned char>(frame[2]) << 8U |
                    static_cast<unsigned char>(frame[3]));
}

/// Only a client may begin with it (RFC 6455 7.4.1); an answer repeats the code that it answers (5.5.1).
bool is_for_clients(close_code code) { return code == close_code::extension_required; }

constexpr auto too_many_fragments = boost::system::errc::value_too_large;  // what Beast is told
constexpr std::string_view empty_ping{"\x89\x00", 2};

std::string in_words(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s"
                                  : std::to_string(time.count()) + " ms";
}

}  // namespace

template <class Socket>
basic_link<Socket>::basic_link(Socket socket, const std::shared_ptr<socket_group>& group,
                               client_network from, opening request, std::string_view already_read)
    : stream_(std::in_place, std::move(socket), already_read, static_cast<raw_sink&>(*this)) {
  opening_ = std::make_unique<const opening>(std::move(request));
  join(group, from);
}

template <class Socket>
basic_link<Socket>::~basic_link() {
  if (phase_ == phase::fresh) refuse();
}

template <class Socket>
template <class Body>
void basic_link<Socket>::turn(Body&& body) {
  if (phase_ == phase::ended) return;
  try {
    body();
  } catch (const std::exception& e) {
    if (phase_ == phase::ended) throw;
    fail(make_error_code(boost::system::errc::operation_canceled), e.what());
  }
}

template <class Socket>
std::string_view basic_link<Socket>::tls() const noexcept {
  return stream_ ? tls_of(stream_->next_layer().socket()) : std::string_view{};
}

template <class Socket>
std::size_t basic_link<Socket>::begun() const noexcept {
  return stream_ ? begun_in(stream_->next_layer().socket()) : 0;
}

template <class Socket>
std::size_t basic_link<Socket>::undelivered_bytes() const noexcept {
  if (!stream_) return 0;
  return wire_.queued_bytes() + stream_->next_layer().socket().lowest_layer().unacknowledged();
}

// --- opening --------------------------------------------------------------------------------------------------------

template <class Socket>
void basic_link<Socket>::open(std::unique_ptr<protocol::link_observer> observer) {
  if (phase_ != phase::fresh) return;
  observer_ = std::move(observer);
  phase_ = phase::upgrading;
  // Never zero, so that Beast compares every length with it before it believes it: also one whose highest bit is set,
  // which Beast 1.81 does not refuse by itself (RFC 6455 5.2).
  const auto most = std::max<std::size_t>(1, group()->limits().max_message_size);
  if constexpr (compressing) {
    // What does not shrink may be compressed all the same, and is a little larger then. Looked at again when inflated.
    stream_->read_message_max(most + most / 1024 + 64);
    socket().most_inflated = most;
    stream_->set_option(websocket::stream_base::decorator(
        [this, agreed = socket().agreed()](websocket::response_type& response) {
          complete(response);
          response.set(http::field::sec_websocket_extensions, agreed.response());
        }));
  } else {
    stream_->read_message_max(most);
    stream_->set_option(websocket::stream_base::decorator(
        [this](websocket::response_type& response) { complete(response); }));
  }
  stream_->async_accept(handshake_request(),
                        [self = this->shared_from_this()](const error_code& ec) {
                          self->turn([&] { self->on_accepted(ec); });
                        });
  wire_.handshake_done();  // the response stands in the wire
  opening_.reset();
}

template <class Socket>
void basic_link<Socket>::complete(websocket::response_type& response) const {
  response.set(http::field::server, "Fairlead");
  // Absent once the response stands in the wire.
  if (opening_ && !opening_->subprotocol.empty())
    response.set(http::field::sec_websocket_protocol, opening_->subprotocol);
}

/// What Beast looks at, and no more: the client's request was found good, and belongs to the HTTP session.
template <class Socket>
auto basic_link<Socket>::handshake_request() const -> http::request<http::empty_body> {
  http::request<http::empty_body> request(http::verb::get, "/", 11);
  request.set(http::field::host, "-");
  request.set(http::field::connection, "upgrade");
  request.set(http::field::upgrade, "websocket");
  request.set(http::field::sec_websocket_key, opening_->key);
  request.set(http::field::sec_websocket_version, "13");
  return request;
}

template <class Socket>
void basic_link<Socket>::on_accepted(const error_code& ec) {
  if (phase_ == phase::broken) return;
  if (ec) return fail(ec, "the handshake failed: " + ec.message());
  phase_ = phase::open;
  auto& loop = group()->home();
  watch_.begin(loop.now());
  loop.schedule(*this, watch_.at(group()->limits(), loop.now(), group()->random_number()).next);
  observer_->on_upgraded();
  if (!paused_) resume_reading();
}

/// Dropped unopened: the request gets an answer all the same.
template <class Socket>
void basic_link<Socket>::refuse() {
  const auto home = group();
  try {
    write_at_once(socket(), encode(plain_response(503, "shutting down"), {}));
    tcp_socket bare = tcp_of(socket());
    end();
    linger(std::move(bare), home, from());
  } catch (const std::exception&) {
    // Out of memory, in a destructor: the socket is closed.
  }
}

// --- reading --------------------------------------------------------------------------------------------------------

template <class Socket>
void basic_link<Socket>::resume_reading() {
  paused_ = false;
  if (phase_ == phase::open && !reading_ && !finishing_) read();
}

template <class Socket>
void basic_link<Socket>::pause_reading() {
  paused_ = !wire_.sealed();  // the answer to a Close must be read, whatever comes before it
}

template <class Socket>
void basic_link<Socket>::read() {
  reading_ = true;
  const auto room = inbound_.room(stream_->read_size_hint());
  stream_->async_read_some(asio::buffer(room.data(), room.size()),
                           [self = this->shared_from_this()](const error_code& ec, std::size_t n) {
                             self->turn([&] { self->on_read(ec, n); });
                           });
}

template <class Socket>
void basic_link<Socket>::on_read(const error_code& ec, std::size_t n) {
  reading_ = false;
  if (phase_ == phase::broken) return;
  if (ec) return on_read_error(ec);
  const bool whole = stream_->is_message_done();
  inbound_.commit(n, whole);
  if (!whole) return read();
  // Beast 1.81 does not finish its check where the last frame of a message is empty.
  if (n == 0 && stream_->got_text() && !protocol::valid_utf8(inbound_.view()))
    return violate(close_code::invalid_payload, "text that is not valid UTF-8");
  deliver();
  if (phase_ == phase::open && !paused_ && !reading_ && !finishing_) read();
}

template <class Socket>
void basic_link<Socket>::deliver() {
  watch_.talked();
  auto kind = stream_->got_text() ? message_kind::text : message_kind::binary;
  auto payload = inbound_.view();
  const auto came = payload.size();
  if constexpr (compressing)
    if (!inflate(kind, payload)) return;
  const auto more = payload.size() - std::min(came, payload.size());
  auto what = message::make(kind, payload);
  inbound_.clear();
  observer_->on_message(std::move(what));
  // What was made of a message counts, not only what came for it.
  if constexpr (compressing)
    if (more > 0 && phase_ == phase::open) charge(more, 0);
}

/// What Beast took for a binary message may be any, compressed. False: it was a violation.
template <class Socket>
bool basic_link<Socket>::inflate(message_kind& kind, std::string_view& payload) {
  const auto most = socket().most_inflated;
  const auto mark = socket().marks().take();
  if (mark.compressed) {
    auto& workshop = group()->workshop();
    const auto result = workshop.inflate(payload, most);
    if (result == deflate_workshop::inflating::bad)
      return violate(close_code::invalid_payload, "a compressed message that cannot be inflated"),
             false;
    kind = mark.text ? message_kind::text : message_kind::binary;
    payload = workshop.inflated();
  }
  if (payload.size() > most)
    return violate(close_code::message_too_big, "the message, inflated, is too large"), false;
  if (mark.compressed && mark.text && !protocol::valid_utf8(payload))
    return violate(close_code::invalid_payload, "text that is not valid UTF-8"), false;
  return true;
}

/// Beast has answered with a Close frame, through the wire, wherever one was due that `take_raw` has taken.
template <class Socket>
void basic_link<Socket>::on_read_error(const error_code& ec) {
  if (ec == websocket::error::closed) {
    const auto said = stream_->reason();
    const auto code =
        said.code == websocket::close_code::none ? close_code::no_status : close_code{said.code};
    if (code != close_code::no_status && !may_be_sent(code) && !is_for_clients(code))
      return violate(close_code::protocol_error, "a close code that means nothing");
    if (code == close_code::protocol_error) wire_.push_close(code, {});
    finishing_ = true;
    observer_->on_peer_close(code, std::string(said.reason.data(), said.reason.size()));
    return finish();
  }
  if (ec == websocket::error::message_too_big && meter_.impossible_length())
    return violate(close_code::protocol_error, "a length whose highest bit is set");
  if (ec == websocket::error::message_too_big)
    return violate(close_code::message_too_big, ec.message());
  if (ec == too_many_fragments) {
    group()->count(protocol::limit_hit::too_many_fragments);
    return violate(close_code::policy_violation,
                   "a message in more than " + std::to_string(group()->limits().max_fragments) +
                       " fragments");
  }
  if (ec == websocket::error::bad_frame_payload || ec == websocket::error::bad_close_payload)
    return violate(close_code::invalid_payload, ec.message());
  if (ec == websocket::condition::protocol_violation)
    return violate(close_code::protocol_error, ec.message());
  fail(ec, ec == asio::error::eof ? "end of file without a Close frame" : ec.message());
}

// --- watching the peer ----------------------------------------------------------------------------------------------

template <class Socket>
error_code basic_link<Socket>::heard(std::string_view bytes) {
  if (phase_ != phase::open) return {};
  const auto& bounds = group()->limits();
  const auto seen = meter_.read(bytes, bounds.max_fragments);
  if (seen.too_many_fragments) return make_error_code(too_many_fragments);
  charge(bytes.size(), seen.frames);
  return {};
}

template <class Socket>
void basic_link<Socket>::charge(std::size_t bytes, std::uint32_t frames) {
  const auto& bounds = group()->limits();
  auto& loop = group()->home();
  const bool before = watch_.paused();
  const auto inflow = watch_.heard(bytes, frames, bounds, loop.now());
  // What comes before the answer to a Close is to be read, and nobody gets it; the closing handshake has a deadline.
  if (inflow == protocol::peer_watch::inflow::fine || wire_.sealed()) return;
  if (!before) group()->count(protocol::limit_hit::inbound_rate_paused);
  loop.schedule(*this, watch_.look_again(bounds, loop.now()));
  if (inflow == protocol::peer_watch::inflow::too_long) stop_flood();
}

template <class Socket>
void basic_link<Socket>::stop_flood() {
  group()->count(protocol::limit_hit::inbound_rate_closed);
  observer_->on_limit(close_code::policy_violation, "rate");
}

template <class Socket>
boost::beast::saved_handler* basic_link<Socket>::hold() noexcept {
  const bool stuck = waiting_ && raw_bytes_ > most_raw_bytes;
  return alive() && !wire_.sealed() && (stuck || watch_.paused()) ? &held_ : nullptr;
}

template <class Socket>
void basic_link<Socket>::go_on() {
  if (phase_ != phase::ended && !hold()) held_.maybe_invoke();
}

/// For within a call to the link.
template <class Socket>
void basic_link<Socket>::go_on_later() {
  if (!held_.has_value()) return;
  asio::post(stream_->get_executor(), [self = this->shared_from_this()] { self->go_on(); });
}

/// What its next look waits for may be due sooner now.
template <class Socket>
void basic_link<Socket>::limits_changed() noexcept {
  auto& loop = group()->home();
  if (phase_ == phase::open) loop.schedule(*this, loop.now());
}

template <class Socket>
void basic_link<Socket>::on_due() {
  const auto self = this->shared_from_this();
  turn([this] { look_after(); });
}

template <class Socket>
void basic_link<Socket>::look_after() {
  using action = protocol::peer_watch::action;
  if (phase_ != phase::open) return;
  const auto& bounds = group()->limits();
  auto& loop = group()->home();
  const auto [what, next] = watch_.at(bounds, loop.now(), group()->random_number());
  loop.schedule(*this, next);
  if (what == action::read_on) return go_on();
  if (wire_.sealed()) return;  // the closing handshake has its own deadline
  switch (what) {
  case action::nothing:
  case action::read_on: break;
  case action::ping:
    if (can_ask()) send_ping();
    break;
  case action::too_long: return stop_flood();
  case action::give_up:
    group()->count(protocol::limit_hit::pong_timeout);
    socket().lowest_layer().reset_on_close();  // nobody is there to take what is left
    return fail(asio::error::timed_out,
                "no answer to ping within " + in_words(bounds.pong_timeout));
  case action::idle:
    group()->count(protocol::limit_hit::idle);
    return observer_->on_limit(close_code::going_away,
                               "no message for " + in_words(bounds.idle_timeout));
  }
}

/// Whether an answer to a ping could be expected in time, and be heard: not while more is on its way to the peer before
/// it (whether that gets there is what TCP finds out), nor while the peer is not read.
template <class Socket>
bool basic_link<Socket>::can_ask() noexcept {
  return reading_ && wire_.empty() && socket().lowest_layer().unacknowledged() == 0;
}

template <class Socket>
void basic_link<Socket>::send_ping() {
  auto& loop = group()->home();
  loop.schedule(*this, watch_.pinged(group()->limits(), loop.now()));
  wire_.push_raw(empty_ping);
  report(write_out());
}

template <class Socket>
protocol::peer_view basic_link<Socket>::peer() const noexcept {
  return {watch_.last_heard(), watch_.awaits_pong(), watch_.paused() && !wire_.sealed(),
          watch_.round_trip()};
}

// --- writing --------------------------------------------------------------------------------------------------------

template <class Socket>
std::size_t basic_link<Socket>::write(protocol::chunk&& what) {
  if constexpr (compressing)
    if (!wire_.sealed()) group()->workshop().compress(what, socket().agreed().window_bits);
  watch_.talked();
  const std::size_t size = what.size;
  return wire_.push(std::move(what)) ? size : 0;
}

template <class Socket>
void basic_link<Socket>::send_close(close_code code, std::string_view reason) {
  wire_.push_close(code, reason);
  resume_reading();
  go_on_later();
}

template <class Socket>
protocol::progress basic_link<Socket>::flush() {
  return write_out();
}

template <class Socket>
protocol::progress basic_link<Socket>::write_out() {
  protocol::progress made;
  while (!waiting_ && alive() && !wire_.empty()) {
    error_code failed;
    std::size_t offered = 0;
    const std::size_t written = write_some(offered, failed);
    if (written > 0) {
      const auto step = wire_.consume(written);
      made.messages += step.messages;
      made.bytes += step.bytes;
    }
    if (!alive()) break;  // a receipt ended it
    if (failed == asio::error::would_block || (!failed && written < offered))
      wait_for_room();
    else if (failed)
      break_off(failed);
  }
  if (alive() && wire_.empty()) on_drained();
  return made;
}

/// One gathered write.
template <class Socket>
std::size_t basic_link<Socket>::write_some(std::size_t& offered, error_code& failed) {
  auto& room = group()->gather_room();
  const std::size_t count = wire_.gather(room.views);
  for (std::size_t i = 0; i < count; ++i) {
    room.buffers[i] = asio::const_buffer(room.views[i].data(), room.views[i].size());
    offered += room.views[i].size();
  }
  return socket().write_some(std::span(room.buffers.data(), count), failed);
}

template <class Socket>
void basic_link<Socket>::wait_for_room() {
  waiting_ = true;
  socket().lowest_layer().async_wait_writable(
      [self = this->shared_from_this()](const error_code& ec) {
        self->turn([&] {
          self->waiting_ = false;
          if (ec) return self->break_off(ec);
          self->report(self->write_out());
          self->finish();
        });
      });
}

template <class Socket>
void basic_link<Socket>::on_drained() {
  raw_bytes_ = 0;
  go_on_later();
}

/// The socket takes no more. Told a turn later: this may be within a call to the link.
template <class Socket>
void basic_link<Socket>::break_off(const error_code& ec) {
  if (!alive()) return;
  phase_ = phase::broken;
  broken_ = true;
  wire_.abandon();
  asio::post(stream_->get_executor(), [self = this->shared_from_this(), ec] {
    self->turn([&] { self->fail(ec, ec.message()); });
  });
}

template <class Socket>
void basic_link<Socket>::report(const protocol::progress& made) {
  if (made.messages > 0 && observer_) observer_->on_progress(made);
}

template <class Socket>
void basic_link<Socket>::take_raw(std::string_view bytes) {
  // Of these, `on_read_error` knows better: Beast 1.81 says 1002 to a reason that is no UTF-8 as well; it takes any code from
  // 3000 up, and answers a Close with the code that it brought; a length that cannot be is nothing but a large one to it.
  if (const auto code = code_in_close(bytes); phase_ == phase::open && code) {
    const bool wrong_code = !may_be_sent(*code) && !is_for_clients(*code);
    if (wrong_code || *code == close_code::protocol_error ||
        (*code == close_code::message_too_big && meter_.impossible_length()))
      return;
  }
  wire_.push_raw(bytes);
  raw_bytes_ += static_cast<std::uint32_t>(bytes.size());
}

template <class Socket>
error_code basic_link<Socket>::flush_raw() {
  turn([this] { report(write_out()); });
  return phase_ == phase::ended ? asio::error::operation_aborted : error_code{};
}

// --- ending ---------------------------------------------------------------------------------------------------------

template <class Socket>
void basic_link<Socket>::violate(close_code code, std::string what) {
  if (code == close_code::message_too_big) group()->count(protocol::limit_hit::message_too_big);
  wire_.push_close(code, what);  // nothing, if Beast has sent one
  finishing_ = true;
  observer_->on_violation(code, std::move(what));
  finish();
}

/// The end, if all is read and written.
template <class Socket>
void basic_link<Socket>::finish() {
  if (!finishing_ || !alive()) return;
  report(write_out());
  if (!alive() || !wire_.empty()) return;
  const auto home = group();
  tcp_socket bare = tcp_of(socket());
  const auto last = std::move(observer_);
  end();
  linger(std::move(bare), home, from());
  last->on_closed();
}

template <class Socket>
void basic_link<Socket>::fail(const error_code& ec, std::string what) {
  const auto last = std::move(observer_);
  broken_ = true;
  end();
  if (last) last->on_failed(ec, std::move(what));
}

template <class Socket>
void basic_link<Socket>::abort() {
  if (phase_ == phase::ended) return;
  const auto self = this->shared_from_this();
  // A reset: what the peer does not take shall not stay in the kernel.
  socket().lowest_layer().reset_on_close();
  // The observer may be what called: it is destroyed a turn later.
  asio::post(stream_->get_executor(), [last = std::move(observer_)] {});
  end();
}

template <class Socket>
void basic_link<Socket>::drop() noexcept {
  const auto self = this->shared_from_this();
  const auto executor = stream_->get_executor();
  auto last = std::move(observer_);
  broken_ = true;
  end();
  if (!last) return;
  asio::post(executor, [last = std::move(last)] {
    last->on_failed(error_code(asio::error::operation_aborted), "the listener was stopped");
  });
}

template <class Socket>
void basic_link<Socket>::end() noexcept {
  phase_ = phase::ended;
  cancel();
  socket().lowest_layer().close();
  wire_.abandon();
  held_.reset();
  inbound_.clear();
  stream_.reset();
  leave();
}

std::shared_ptr<protocol::link> make_link(tls_socket socket,
                                          const std::shared_ptr<socket_group>& group,
                                          client_network from, opening request,
                                          std::string_view already_read,
                                          const std::optional<deflate_agreement>& deflate) {
  if (deflate) {
    deflate_socket compressing(std::move(socket), *deflate,
                               group->workshop().count_in(deflate->window_bits));
    std::string read(already_read);
    compressing.marks().scan(read.data(), read.size());
    return std::make_shared<basic_link<deflate_socket>>(std::move(compressing), group, from,
                                                        std::move(request), read);
  }
  if (socket.encrypted())
    return std::make_shared<basic_link<tls_socket>>(std::move(socket), group, from,
                                                    std::move(request), already_read);
  return std::make_shared<basic_link<tcp_socket>>(socket.release(), group, from, std::move(request),
                                                  already_read);
}

}  // namespace fairlead::net
