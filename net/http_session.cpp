#include "net/http_session.hpp"

#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "net/address.hpp"
#include "net/handshake.hpp"
#include "net/http_message.hpp"
#include "net/late_answer.hpp"
#include "net/linger.hpp"
#include "net/link.hpp"
#include "net/request_target.hpp"

namespace fairlead::net {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t head_read_size = 1024;
constexpr std::size_t body_read_size = 16 * 1024;
constexpr std::size_t least_chunks = 5;  // "0\r\n\r\n": no chunked body ends with less

class http_session final : public socket_owner,
                           public upgrade_turn,
                           public std::enable_shared_from_this<http_session> {
 public:
  http_session(tls_socket socket, const asio::ip::tcp::endpoint& peer,
               std::shared_ptr<http_service> service, std::size_t max_body)
      : socket_(std::move(socket)),
        peer_(peer),
        service_(std::move(service)),
        max_body_(max_body),
        deadline_([this] { on_deadline(); }) {}

  void start(const std::shared_ptr<socket_group>& group) {
    join(group, network_of(peer_));
    next_request();
  }

  void answer(http_response);
  void go_on(const finish&);
  std::shared_ptr<protocol::link> take(std::string_view subprotocol) override;
  resume wait(give_up) override;
  void wind_down() noexcept override;
  void drop() noexcept override { end(); }

 private:
  enum class phase { head, invitation, body, service, waiting, response, ended };
  using parser = http::request_parser<http::string_body>;

  void next_request();
  void set_deadline();
  void on_deadline();
  void read();
  void on_read(const error_code&, std::size_t);
  void parse();
  void on_head();
  void invite();
  void on_upgrade();
  void decide(const finish&);
  void watch();
  void stop_waiting();
  void end_wait(wait_end);
  void on_request();
  void refuse(http_response, std::string_view event = "http.refused");
  void refuse_handshake(const error_code&);
  void refuse_tls();
  void write(const http_response&, bool keep_alive);
  void on_written(const error_code&, bool keep_alive);
  void end() noexcept;
  void end_and_linger();
  [[nodiscard]] bool is_tls_record() const {
    const auto bytes = buffer_.data();
    return bytes.size() >= 2 && std::memcmp(bytes.data(), "\x16\x03", 2) == 0;
  }
  [[nodiscard]] bool nothing_received() const {
    return buffer_.size() == 0 && !parser_->got_some();
  }
  std::optional<tls_socket> socket_;
  const asio::ip::tcp::endpoint peer_;
  const std::shared_ptr<http_service> service_;
  const std::size_t max_body_;
  protocol::timer deadline_;
  boost::beast::flat_buffer buffer_;
  std::optional<parser> parser_;
  encoding encoding_;
  std::string out_;
  std::shared_ptr<http_session> awaiting_answer_;  // itself, while nothing else holds it
  give_up give_up_;                                // while it waits for a decision
  phase phase_ = phase::head;
};

// --- time and reading -----------------------------------------------------------------------------------------------

void http_session::next_request() {
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(group()->limits().max_header_size));
  parser_->body_limit(max_body_);
  encoding_ = {};  // not that of the request before
  phase_ = phase::head;
  set_deadline();
  buffer_.size() > 0 ? parse() : read();
}

void http_session::set_deadline() {
  auto& loop = group()->home();
  loop.schedule(deadline_, loop.now() + group()->limits().handshake_timeout);
}

void http_session::on_deadline() {
  const auto self = shared_from_this();
  if (phase_ == phase::head && socket_->in_handshake())
    return refuse_handshake(asio::error::timed_out);
  if (phase_ == phase::waiting) {
    group()->count(protocol::limit_hit::admission_timeout);
    return end_wait(wait_end::timeout);
  }
  // Half of what was written may be out: no answer can follow that.
  if (phase_ == phase::response || phase_ == phase::invitation) return end();
  if (phase_ == phase::head && nothing_received()) return end();
  refuse(plain_response(408, "the request did not arrive in time"), "http.timeout");
}

void http_session::read() {
  const std::size_t room = phase_ == phase::head ? head_read_size : body_read_size;
  socket_->async_read_some(buffer_.prepare(room),
                           [self = shared_from_this()](const error_code& ec, std::size_t n) {
                             if (self->phase_ == phase::head || self->phase_ == phase::body)
                               self->on_read(ec, n);
                           });
}

void http_session::on_read(const error_code& ec, std::size_t n) {
  if (ec.category() == tls_category()) return refuse_handshake(ec);
  if (ec) return end();  // without a whole request there is nobody to answer
  buffer_.commit(n);
  parse();
}

void http_session::parse() {
  error_code failed;
  // Beast 1.81 asserts that there is so much when it goes on with a last chunk, though one byte may be all that came.
  const std::size_t least = phase_ == phase::body && parser_->chunked() ? least_chunks : 1;
  while (buffer_.size() >= least && !failed && !parser_->is_done()) {
    buffer_.consume(parser_->put(buffer_.data(), failed));
    if (failed || phase_ != phase::head || !parser_->is_header_done()) continue;
    return on_head();
  }
  if (failed && phase_ == phase::head && is_tls_record()) return refuse_tls();
  if (failed && failed != http::error::need_more) return refuse(answer_to(failed));
  if (phase_ == phase::body && parser_->is_done()) return on_request();
  read();
}

void http_session::on_head() {
  const auto& head = parser_->get();
  encoding_.without_body = head.method() == http::verb::head;
  if (static_cast<std::size_t>(std::distance(head.begin(), head.end())) >
      group()->limits().max_header_count)
    return refuse(plain_response(431, "too many header fields"));
  if (asks_for_websocket(head)) return on_upgrade();
  if (head.version() == 11 && head.count(http::field::host) != 1)
    return refuse(plain_response(400, "exactly one Host is required"));
  phase_ = phase::body;
  if (parser_->is_done()) return on_request();
  set_deadline();
  parser_->eager(true);
  if (boost::beast::iequals(head[http::field::expect], "100-continue")) return invite();
  parse();
}

/// To send the body (RFC 7231 5.1.1). A client that has not read what came before makes it wait for room.
void http_session::invite() {
  static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  phase_ = phase::invitation;
  asio::async_write(*socket_, asio::buffer(go_on),
                    [self = shared_from_this()](const error_code& ec, std::size_t) {
                      if (self->phase_ != phase::invitation) return;
                      if (ec) return self->end();
                      self->phase_ = phase::body;
                      self->parse();
                    });
}

// --- what becomes of a request --------------------------------------------------------------------------------------

void http_session::on_upgrade() {
  const auto& head = parser_->get();
  if (auto fault = fault_of_upgrade(head)) {
    group()->count(protocol::limit_hit::bad_upgrade);
    return refuse(std::move(*fault));
  }
  const auto target = parse_request_target(head.target());
  if (!target) return refuse(plain_response(400, "the request target is no path"));
  const std::string peer = to_string(peer_);
  const std::string certificate = socket_->peer_name();
  upgrade_request request{head.target(), target->path, target->query, peer, certificate, {}};
  for (const auto& line : head) request.headers.emplace_back(line.name_string(), line.value());

  decide([&](upgrade_turn& turn) {
    return service_->upgrade(group()->home().index(), request, turn);
  });
}

void http_session::decide(const finish& how) {
  const auto self = shared_from_this();
  std::optional<http_response> refusal;
  bool threw = false;
  try {
    refusal = how(*this);
  } catch (const std::exception& e) {
    threw = true;
    if (group()) group()->write_log(severity::error, "http.service_failed", {{"what", e.what()}});
  }
  if (phase_ == phase::ended) return;  // the link has the socket
  if (phase_ == phase::waiting && !refusal && !threw) return watch();
  stop_waiting();
  refuse(refusal ? std::move(*refusal)
                 : plain_response(500, "the upgrade was neither taken nor refused"));
}

std::shared_ptr<protocol::link> http_session::take(std::string_view subprotocol) {
  if (phase_ == phase::ended) return nullptr;
  stop_waiting();
  const auto key = parser_->get()[http::field::sec_websocket_key];
  const auto deflate =
      group()->compression().enabled ? accept_deflate(parser_->get()) : std::nullopt;
  const auto rest = buffer_.data();
  const auto home = group();
  opening request{std::string(key), std::string(subprotocol)};
  tls_socket socket = std::move(*socket_);
  end();
  return make_link(std::move(socket), home, from(), std::move(request),
                   {static_cast<const char*>(rest.data()), rest.size()}, deflate);
}

// --- an upgrade request that waits for a decision --------------------------------------------------------------------

auto http_session::wait(give_up how) -> resume {
  if (phase_ != phase::head) return [](const finish&) {};
  auto answerer = std::make_shared<late_answer<http_session>>(
      weak_from_this(), group()->loop_handle(),
      [](http_session& s) { s.go_on([](upgrade_turn&) { return std::nullopt; }); });
  phase_ = phase::waiting;
  give_up_ = std::move(how);
  awaiting_answer_ = shared_from_this();
  auto& loop = group()->home();
  loop.schedule(deadline_, loop.now() + group()->limits().admission_timeout);
  return [answerer = std::move(answerer)](finish then) {
    answerer->give([then = std::move(then)](http_session& s) { s.go_on(then); });
  };
}

/// Sees the client leave. Reads nothing: what comes before the 101 is the WebSocket's, and there is no bound on it but the
/// kernel's.
void http_session::watch() {
  auto& tcp = socket_->lowest_layer();
  if (tcp.peer_has_left()) return end_wait(wait_end::client_left);
  tcp.wait_for_news();
  tcp.async_wait_readable([self = shared_from_this()](const error_code& ec) {
    if (!ec && self->phase_ == phase::waiting) self->watch();
  });
}

void http_session::stop_waiting() {
  if (phase_ != phase::waiting) return;
  phase_ = phase::head;
  deadline_.cancel();
  give_up_ = nullptr;
  socket_->cancel();
  socket_->lowest_layer().look_again();
  const auto last = std::move(awaiting_answer_);
}

void http_session::go_on(const finish& how) {
  if (phase_ != phase::waiting) return;
  const auto self = shared_from_this();
  stop_waiting();
  decide(how);
}

void http_session::end_wait(wait_end why) {
  const auto self = shared_from_this();
  const auto tell = std::move(give_up_);
  stop_waiting();
  auto answer = plain_response(503, "nobody decided on this request");
  try {
    answer = tell(why);
  } catch (const std::exception& e) {
    group()->write_log(severity::error, "http.service_failed", {{"what", e.what()}});
  }
  why == wait_end::client_left ? end() : refuse(std::move(answer));
}

void http_session::on_request() {
  auto message = parser_->release();
  const auto target = parse_request_target(message.target());
  auto path = target ? percent_decoded(target->path) : std::nullopt;
  if (!path) return refuse(plain_response(400, "the request target is no path"));
  http_request request{message.method_string(),   std::move(*path), std::string(target->query),
                       std::move(message.body()), to_string(peer_), {}};
  for (const auto& line : message) request.headers.emplace_back(line.name_string(), line.value());

  encoding_.keep_alive = message.keep_alive();
  encoding_.version = message.version();
  phase_ = phase::service;
  deadline_.cancel();
  awaiting_answer_ = shared_from_this();
  const auto answerer = std::make_shared<late_answer<http_session>>(
      weak_from_this(), group()->loop_handle(),
      [](http_session& s) { s.answer(plain_response(500, "the request was not answered")); });
  try {
    service_->handle(request, [answerer](http_response response) {
      answerer->give(
          [r = std::move(response)](http_session& s) mutable { s.answer(std::move(r)); });
    });
  } catch (const std::exception& e) {
    group()->write_log(severity::error, "http.service_failed", {{"what", e.what()}});
  }
}

// --- answering ------------------------------------------------------------------------------------------------------

void http_session::answer(http_response response) {
  const auto self = std::exchange(awaiting_answer_, nullptr);
  if (phase_ == phase::service) write(response, encoding_.keep_alive && !group()->winding_down());
}

/// Answers a request that cannot be served and ends: what follows it may not be a request at all.
void http_session::refuse(http_response response, std::string_view event) {
  if (response.status == 431) group()->count(protocol::limit_hit::header_limits);
  if (response.status == 408) group()->count(protocol::limit_hit::handshake_timeout);
  const auto peer = to_string(peer_);
  group()->write_log(severity::debug, event,
                     {{"peer", peer}, {"status", std::uint64_t{response.status}}});
  socket_->cancel();
  write(response, false);
}

/// OpenSSL has sent an alert where one was due.
void http_session::refuse_handshake(const error_code& why) {
  const auto peer = to_string(peer_);
  const auto what = why.message();
  group()->count(protocol::limit_hit::tls_failed);
  group()->write_log(severity::debug, "tls.failed", {{"peer", peer}, {"what", what}});
  if (is_plain_http(why))
    write_at_once(socket_->lowest_layer(),
                  encode(plain_response(400, "this port speaks TLS: use https:// or wss://"), {}));
  end_and_linger();
}

/// A TLS client on a port without TLS: it waits for an answer that it understands.
void http_session::refuse_tls() {
  const auto peer = to_string(peer_);
  group()->count(protocol::limit_hit::tls_failed);
  group()->write_log(severity::debug, "http.tls_refused", {{"peer", peer}});
  write_at_once(*socket_, {"\x15\x03\x03\x00\x02\x02\x28", 7});  // alert: handshake_failure
  end_and_linger();
}

void http_session::write(const http_response& response, bool keep_alive) {
  encoding_.keep_alive = keep_alive;
  out_ = encode(response, encoding_);
  phase_ = phase::response;
  set_deadline();
  asio::async_write(*socket_, asio::buffer(out_),
                    [self = shared_from_this(), keep_alive](const error_code& ec, std::size_t) {
                      if (self->phase_ == phase::response) self->on_written(ec, keep_alive);
                    });
}

void http_session::on_written(const error_code& ec, bool keep_alive) {
  if (ec) return end();
  if (keep_alive) return next_request();
  end_and_linger();
}

void http_session::end_and_linger() {
  const auto home = group();
  socket_->cancel();  // at a deadline a read is under way
  tcp_socket bare = socket_->release();
  end();
  linger(std::move(bare), home, from());
}

void http_session::wind_down() noexcept {
  if (phase_ == phase::waiting) {
    try {
      return end_wait(wait_end::stopping);
    } catch (...) {
      return end();
    }
  }
  if (phase_ == phase::head && nothing_received()) end();
}

void http_session::end() noexcept {
  phase_ = phase::ended;
  deadline_.cancel();
  socket_.reset();
  give_up_ = nullptr;
  leave();
  const auto last = std::move(awaiting_answer_);
}

}  // namespace

void serve_http(tls_socket socket, const asio::ip::tcp::endpoint& peer,
                const std::shared_ptr<socket_group>& group, std::shared_ptr<http_service> service,
                std::size_t max_body) {
  std::make_shared<http_session>(std::move(socket), peer, std::move(service), max_body)
      ->start(group);
}

}  // namespace fairlead::net
