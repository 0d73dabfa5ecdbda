#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <utility>

#include <fairlead/server.hpp>

#include "service/server_impl.hpp"

namespace fairlead {
namespace {

bool same_field_name(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

/// A function that fulfils a future.
template <class Value>
std::pair<std::function<void(Value)>, std::future<Value>> promised() {
  auto promise = std::make_shared<std::promise<Value>>();
  auto future = promise->get_future();
  return {[promise](Value v) { promise->set_value(std::move(v)); }, std::move(future)};
}

}  // namespace

std::string_view upgrade_request::header(std::string_view name) const noexcept {
  for (const auto& [field, value] : headers) {
    if (same_field_name(field, name)) return value;
  }
  return {};
}

server::server() noexcept = default;
server::server(server_options options) { start(std::move(options)); }
server::~server() = default;
server::server(server&&) noexcept = default;
server& server::operator=(server&&) noexcept = default;

void server::start(server_options options) {
  if (impl_) throw std::logic_error{"fairlead::server::start: it was started already"};
  impl_ = std::make_unique<impl>(std::move(options));
  try {
    impl_->serve();  // only now: a handler may use this server from the first connection on
  } catch (...) {
    impl_.reset();
    throw;
  }
}

void server::reload_tls() {
  if (!impl_) throw std::logic_error{"fairlead::server::reload_tls: it was not started"};
  impl_->reload_tls();
}

void server::reload_jwt() {
  if (!impl_) throw std::logic_error{"fairlead::server::reload_jwt: it was not started"};
  impl_->reload_jwt();
}

std::string server::address() const { return impl_ ? impl_->address() : std::string{}; }
std::string server::actors_address() const {
  return impl_ ? impl_->actors_address() : std::string{};
}

std::string server::internal_address() const {
  return impl_ ? impl_->internal_address() : std::string{};
}

bool server::broadcast(message m, std::vector<connection_id> except) {
  return impl_ && impl_->backbone().broadcast(std::move(m), std::move(except));
}

void server::broadcast(message m, std::vector<connection_id> except, broadcast_callback done) {
  if (impl_) return impl_->backbone().broadcast(std::move(m), std::move(except), std::move(done));
  if (done) done({});
}

bool server::broadcast(message m, std::vector<connection_id> except, send_options how,
                       broadcast_callback done) {
  if (impl_)
    return impl_->backbone().broadcast(std::move(m), std::move(except), how, std::move(done));
  if (done) done({});
  return false;
}

void server::send_to_user(std::string user, message m, broadcast_callback done) {
  send_to_user(std::move(user), std::move(m), send_options{}, std::move(done));
}

void server::send_to_user(std::string user, message m, send_options how, broadcast_callback done) {
  if (impl_) {
    impl_->backbone().send_to_user(std::move(user), std::move(m), how, std::move(done));
    return;
  }
  broadcast_summary nobody;
  nobody.add(send_result::no_such_connection);
  if (done) done(nobody);
}

void server::close_user(std::string user, close_code code, std::string reason,
                        std::function<void(std::size_t)> done) {
  if (impl_)
    return impl_->backbone().close_user(std::move(user), code, std::move(reason), std::move(done));
  if (done) done(0);
}

void server::send(connection_id id, message m, send_callback done) {
  send(id, std::move(m), send_options{}, std::move(done));
}

void server::send(connection_id id, message m, send_options how, send_callback done) {
  if (impl_)
    impl_->backbone().send(id, std::move(m), how, std::move(done));
  else if (done)
    done(send_result::no_such_connection);
}

void server::remove(connection_id id, close_code code, std::string reason, close_callback done) {
  if (impl_) return impl_->backbone().remove(id, code, std::move(reason), std::move(done));
  if (done) done(close_result::no_such_connection);
}

spawned_session server::spawn_session(const std::string& type, spawn_options how) {
  return impl_ ? impl_->backbone().spawn_session(type, std::move(how)) : spawned_session{};
}

session server::find_session(const std::string& id) const {
  return impl_ ? impl_->backbone().find_session(id) : session{};
}

std::future<inbox_page> server::read_inbox(const std::string& id, std::uint64_t after,
                                           std::size_t limit, std::chrono::milliseconds wait,
                                           std::string epoch) {
  auto [answer, future] = promised<inbox_page>();
  if (impl_)
    impl_->backbone().read_inbox(id, after, limit, wait, std::move(epoch), std::move(answer));
  else
    answer({});
  return std::move(future);
}

std::size_t server::session_count() const { return impl_ ? impl_->backbone().session_count() : 0; }

std::size_t server::connection_count() const noexcept {
  return impl_ ? impl_->backbone().connection_count() : 0;
}

std::future<server_snapshot> server::snapshot(std::chrono::milliseconds timeout) const {
  auto [answer, future] = promised<server_snapshot>();
  if (impl_)
    impl_->backbone().take_connections(timeout, std::move(answer));
  else
    answer({});
  return std::move(future);
}

std::future<std::vector<closed_record>>
server::recently_closed(std::chrono::milliseconds timeout) const {
  auto [answer, future] = promised<std::vector<closed_record>>();
  if (impl_)
    impl_->backbone().take_closed(timeout, std::move(answer));
  else
    answer({});
  return std::move(future);
}

void server::reload(const server_options& options) {
  if (!impl_) throw std::logic_error{"fairlead::server::reload: it was not started"};
  impl_->reload(options);
}

std::future<shutdown_summary> server::drain() {
  return impl_ ? impl_->drain() : drain(drain_options{});
}

std::future<shutdown_summary> server::drain(drain_options how) {
  if (impl_) return impl_->drain(std::move(how));
  auto [answer, future] = promised<shutdown_summary>();
  answer({});
  return std::move(future);
}

drain_progress server::drain_state() const {
  return impl_ ? impl_->drain_state() : drain_progress{};
}

shutdown_summary server::shutdown(std::chrono::milliseconds deadline, close_code code,
                                  std::string reason) {
  return impl_ ? impl_->shutdown(deadline, code, std::move(reason)) : shutdown_summary{};
}

}  // namespace fairlead
