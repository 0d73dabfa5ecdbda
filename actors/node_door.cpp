#include "actors/node_door.hpp"

#include <algorithm>
#include <utility>

#include <caf/detail/socket_guard.hpp>
#include <caf/io/abstract_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>
#include <caf/io/network/interfaces.hpp>
#include <caf/io/network/stream_impl.hpp>
#include <caf/io/scribe.hpp>
#include <caf/make_counted.hpp>
#include <caf/openssl/session.hpp>
#include <caf/policy/tcp.hpp>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fairlead::actors {

namespace io = caf::io;
namespace basp = caf::io::basp;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::size_t most_waiting = 1'024, most_waiting_bytes = 16 * 1'024 * 1'024;

/// Reads and writes through TLS, as CAF's streams ask for it. Errors are cleared first: what one peer's failure leaves in
/// OpenSSL's queue would be taken for the next one's (SSL_get_error(3)), and Debian's CAF leaves it there.
struct tls_policy {
  caf::openssl::session_ptr session;
  io::network::rw_state read_some(std::size_t& n, int fd, void* to, std::size_t most) {
    ERR_clear_error();
    return session->read_some(n, fd, to, most);
  }
  io::network::rw_state write_some(std::size_t& n, int fd, const void* from, std::size_t most) {
    ERR_clear_error();
    return session->write_some(n, fd, from, most);
  }
  bool must_read_more(int fd, std::size_t threshold) {
    return session->must_read_more(fd, threshold);
  }
};

/// A connection behind the firewall. Everything but `cut` and `turn_away` on CAF's network thread.
template <class Policy>
class guarded_scribe final : public io::scribe, public peer {
 public:
  guarded_scribe(io::network::default_multiplexer& loop, int socket, std::shared_ptr<node_door> d,
                 Policy policy)
      : scribe(io::network::conn_hdl_from_socket(socket)),
        door_(std::move(d)),
        firewall_(door_->rules),
        stream_(loop, socket, std::move(policy)) {}
  ~guarded_scribe() override { door_->leave(this); }

  bool consume(caf::execution_unit*, const void*, std::size_t) override;
  void flush() override;
  void cut(const char* why) override { end(door_->cut, "actors.cut", why); }
  void turn_away(const char* why) override { end(door_->refused, "actors.refused", why); }
  void read_again() override {
    if (std::exchange(stalled_, false) && !detached()) trigger();
  }

  void configure_read(io::receive_policy::config how) override {
    stream_.configure_read(how);
    if (std::exchange(launched_, true)) return;
    stream_.start(this);
    // TLS has a handshake to write.
    if constexpr (std::is_same_v<Policy, tls_policy>) stream_.force_empty_write(this);
  }
  void ack_writes(bool on) override { stream_.ack_writes(on); }
  std::vector<char>& wr_buf() override { return stream_.wr_buf(); }
  std::vector<char>& rd_buf() override { return stream_.rd_buf(); }
  void graceful_shutdown() override {
    stream_.graceful_shutdown();
    detach(&stream_.backend(), false);
  }
  std::string addr() const override {
    const auto known = io::network::remote_addr_of_fd(stream_.fd());
    return known ? *known : std::string{};
  }
  std::uint16_t port() const override {
    const auto known = io::network::remote_port_of_fd(stream_.fd());
    return known ? *known : 0;
  }
  void add_to_loop() override { stream_.activate(this); }
  void remove_from_loop() override { stream_.passivate(); }

 private:
  bool consume_header(caf::execution_unit*, std::size_t);
  bool pass_on(caf::execution_unit*, std::size_t);
  void swallow();
  void end(std::atomic<std::uint64_t>& count, std::string_view event, const char* why);

  const std::shared_ptr<node_door> door_;
  firewall firewall_;
  std::vector<char> held_;  // a header whose payload has not come yet
  verdict on_header_ = verdict::deliver;
  bool launched_ = false, stalled_ = false, told_ = false, named_ = false;
  io::network::stream_impl<Policy> stream_;
};

template <class Policy>
bool guarded_scribe<Policy>::consume(caf::execution_unit* unit, const void*, std::size_t n) {
  heard = steady::now().time_since_epoch().count();
  if (ended) return true;  // the stream finds the socket shut
  if (held_.empty()) return consume_header(unit, n);
  const auto judged =
      on_header_ == verdict::deliver ? firewall_.payload({rd_buf().data(), n}) : on_header_;
  if (judged == verdict::cut) {
    cut(firewall_.why());
    return true;
  }
  if (judged == verdict::deliver && !named_ && !firewall_.node().empty()) {
    named_ = door_->claim(this, firewall_.node());
    if (!named_) return true;
  }
  if (judged == verdict::deliver) return pass_on(unit, n);
  swallow();
  held_.clear();
  configure_read(io::receive_policy::exactly(basp::header_size));
  return true;
}

template <class Policy>
bool guarded_scribe<Policy>::consume_header(caf::execution_unit* unit, std::size_t n) {
  on_header_ = firewall_.header({rd_buf().data(), n});
  if (on_header_ == verdict::cut) {
    cut(firewall_.why());
    return true;
  }
  if (firewall_.payload_size() == 0) return scribe::consume(unit, nullptr, n);
  held_.assign(rd_buf().begin(), rd_buf().begin() + static_cast<std::ptrdiff_t>(n));
  configure_read(io::receive_policy::exactly(firewall_.payload_size()));
  return true;
}

/// To CAF: the header that was held back, then what has come.
template <class Policy>
bool guarded_scribe<Policy>::pass_on(caf::execution_unit* unit, std::size_t n) {
  auto header = std::exchange(held_, {});
  const auto size = header.size();
  rd_buf().swap(header);  // which holds the payload now
  if (!scribe::consume(unit, nullptr, size)) return false;
  if (detached()) return false;
  rd_buf().swap(header);
  if (!scribe::consume(unit, nullptr, n)) return false;
  if (!door_->full()) return true;
  stalled_ = true;
  door_->stalled();
  // Looked at again: all may have been handled before the gateway could know that this one waits.
  stalled_ = door_->full();
  return !stalled_;  // not read any more until `read_again`
}

template <class Policy>
void guarded_scribe<Policy>::swallow() {
  ++door_->swallowed;
  // A node of CAF's own asks each node that it meets for its spawn server: that is no reason for a warning.
  const bool expected = on_header_ == verdict::swallow;
  if (!expected && !std::exchange(told_, true))
    door_->log_line(severity::warning, "actors.swallowed", addr(), firewall_.why());
}

template <class Policy>
void guarded_scribe<Policy>::flush() {
  if (wr_buf().size() > door_->options.max_unread) cut("does not read");
  if (ended) return wr_buf().clear();
  stream_.flush(this);
}

template <class Policy>
void guarded_scribe<Policy>::end(std::atomic<std::uint64_t>& count, std::string_view event,
                                 const char* why) {
  if (ended.exchange(true)) return;
  ++count;
  door_->log_line(severity::warning, event, addr(), why);
  // The stream sees its end and cleans up as after any other.
  ::shutdown(stream_.fd(), SHUT_RDWR);
}

class guarded_doorman final : public io::network::doorman_impl {
 public:
  guarded_doorman(io::network::default_multiplexer& loop, int socket, std::shared_ptr<node_door> d)
      : doorman_impl(loop, socket), door_(std::move(d)) {}

  bool new_connection() override {
    if (detached()) return false;
    const auto fd = acceptor_.accepted_socket();
    caf::detail::socket_guard socket{fd};
    io::network::nonblocking(fd, true);
    if (door_->options.certificate.empty()) return let_in(socket, fd, caf::policy::tcp{});
    // CAF reads the files for each connection; if it cannot, it throws, and loses what it had allocated.
    for (const auto* file : {&door_->options.certificate, &door_->options.key, &door_->options.ca})
      if (::access(file->c_str(), R_OK) != 0) {
        refuse(fd, "a certificate, key or authority cannot be read");
        return false;
      }
    try {
      ERR_clear_error();
      if (auto session = caf::openssl::make_session(parent()->home_system(), fd, true))
        return let_in(socket, fd, tls_policy{std::move(session)});
      refuse(fd, "TLS did not begin");
    } catch (const std::exception& e) {
      refuse(fd, e.what());
    }
    return false;
  }

 private:
  template <class Policy>
  bool let_in(caf::detail::socket_guard& socket, int fd, Policy policy) {
    auto& loop = acceptor_.backend();
    const auto made = caf::make_counted<guarded_scribe<Policy>>(loop, fd, door_, std::move(policy));
    socket.release();  // it is the scribe's
    door_->enter(made.get());
    const auto handle = made->hdl();
    parent()->add_scribe(made);
    return doorman::new_connection(&loop, handle);
  }
  void refuse(int fd, const char* why) {
    ++door_->refused;
    const auto who = io::network::remote_addr_of_fd(fd);
    door_->log_line(severity::warning, "actors.refused", who ? *who : std::string{}, why);
  }

  const std::shared_ptr<node_door> door_;
};

}  // namespace

node_door::node_door(caf::actor_system& s, const gateway_options& o, caf::actor_id gateway)
    : rules(s, gateway, o.max_message), options(o), system_(s) {}

void node_door::enter(peer* p) {
  const std::lock_guard lock{mutex_};
  std::size_t newcomers = 0;
  auto oldest = peers_.end();
  for (auto at = peers_.begin(); at != peers_.end(); ++at) {
    if (at->first->ended || !at->second.node.empty()) continue;
    ++newcomers;
    if (oldest == peers_.end() || at->second.came < oldest->second.came) oldest = at;
  }
  if (newcomers >= options.max_newcomers)
    oldest->first->turn_away("newer connections, and it had not said who it is");
  peers_.try_emplace(p, known{steady::now(), {}});
}

bool node_door::claim(peer* p, const std::string& node) {
  const std::lock_guard lock{mutex_};
  std::size_t named = 0;
  for (const auto& [other, its] : peers_) {
    if (other == p || its.node.empty()) continue;
    ++named;
    if (its.node != node) continue;
    p->cut("another connection is of this node");
    return false;
  }
  if (named >= options.max_peers) {
    p->turn_away("too many peers");
    return false;
  }
  ++accepted;
  peers_[p].node = node;
  return true;
}

void node_door::leave(peer* p) {
  const std::lock_guard lock{mutex_};
  peers_.erase(p);
}

std::size_t node_door::peers() const {
  const std::lock_guard lock{mutex_};
  return static_cast<std::size_t>(
      std::ranges::count_if(peers_, [](const auto& one) { return !one.second.node.empty(); }));
}

void node_door::look_around() {
  const auto now = steady::now();
  const auto oldest = (now - options.silence).time_since_epoch().count();
  const std::lock_guard lock{mutex_};
  for (const auto& [p, its] : peers_) {
    if (p->heard < oldest) p->cut("silent");
    if (its.node.empty() && its.came < now - options.introduction)
      p->turn_away("not in time to say who it is");
  }
}

void node_door::came(std::size_t bytes) noexcept {
  ++requests;
  ++waiting_;
  waiting_bytes_ += bytes;
}

bool node_door::full() const noexcept {
  return waiting_ >= most_waiting || waiting_bytes_ >= most_waiting_bytes;
}

void node_door::handled(std::size_t bytes) {
  const auto left = --waiting_;
  const auto bytes_left = waiting_bytes_ -= bytes;
  if (!stalled_ || left > most_waiting / 2 || bytes_left > most_waiting_bytes / 2) return;
  stalled_ = false;
  system_.middleman().backend().post([self = shared_from_this()] {
    const std::lock_guard lock{self->mutex_};
    for (const auto& [p, its] : self->peers_) p->read_again();
  });
}

void node_door::log_line(severity level, std::string_view event, const std::string& who,
                         const char* why) const {
  if (options.logger)
    (*options.logger)(level, event,
                      {{"peer", std::string_view{who}}, {"why", std::string_view{why}}});
}

io::doorman_ptr make_doorman(caf::actor_system& system, int socket, std::shared_ptr<node_door> d) {
  auto& loop = static_cast<io::network::default_multiplexer&>(system.middleman().backend());
  return caf::make_counted<guarded_doorman>(loop, socket, std::move(d));
}

}  // namespace fairlead::actors
