#include "service/server_impl.hpp"

#include <stdexcept>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include <fairlead/logging.hpp>

#include "service/address.hpp"
#include "service/descriptors.hpp"
#include "service/internal_api.hpp"
#include "service/json_check.hpp"
#include "service/options.hpp"
#include "service/public_service.hpp"

namespace fairlead {
namespace {

using std::chrono::milliseconds;

/// The internal listener's own, which no configuration changes: what clients do must not lock the operator out, nor limits
/// that are set for clients.
limits internal_limits() {
  constexpr std::size_t sockets = 4096;
  return {.max_connections = sockets, .max_connections_per_address = sockets};
}

constexpr const char* raise_the_limit =
    "raise the limit on open files (ulimit -Hn, systemd's LimitNOFILE, docker's --ulimit nofile), "
    "or lower max_connections";
/// Of a request from a client that is no upgrade: nothing reads it, and 20,000 sockets may each have one half sent.
constexpr std::size_t max_public_body = 4096;

/// All that is wrong in one exception: a caller who mends one option at a time starts too often.
void throw_if_wrong(const service::problems& found) {
  std::string text;
  for (const auto& p : found)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", p.where, p.what);
  if (!text.empty()) throw std::invalid_argument{"server_options: " + text};
}

}  // namespace

server::impl::impl(server_options options)
    : options_(std::move(options)), drain_defaults_(options_.drain) {
  throw_if_wrong(service::check(options_));
}

void server::impl::serve() {
  try {
    if (!options_.tls.certificate.empty())
      tls_ = std::make_shared<net::tls_context>(options_.tls, options_.logger);
    if (options_.jwt.enabled()) tokens_ = std::make_shared<service::token_verifier>(options_.jwt);
    start_loops();
    start_backbone();
    start_listeners();
    start_gateway();
    // Last, when all is in its place: a handler may use the whole of the server from its first connection on.
    public_listener_->accept();
    if (internal_listener_) internal_listener_->accept();
  } catch (...) {
    shutdown_begun_ = true;
    stopped_.set_value(
        take_down(milliseconds{0}, close_code::going_away, "the server did not start"));
    throw;
  }
  served_ = true;
  if (!options_.logger) return;
  (*options_.logger)(severity::info, "server.started",
                     {{"listen", std::string_view{address_}},
                      {"internal", std::string_view{internal_address_}},
                      {"actors", std::string_view{actors_address_}},
                      {"loops", std::uint64_t{loops_.size()}}});
}

server::impl::~impl() {
  shutdown(std::chrono::seconds{10}, close_code::going_away, "server shutting down");
}

void server::impl::start_loops() {
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t wanted = options_.threads == 0
                                 ? std::min<std::size_t>(cores, service::most_threads)
                                 : options_.threads;
  while (loops_.size() < wanted) loops_.push_back(net::loop::start(loops_.size(), options_.logger));
  side_ = net::loop::start(loops_.size(), options_.logger);
}

void server::impl::start_backbone() {
  std::function<message(const message&)> compress;
  if (options_.compression.enabled)
    compress = [workshop =
                    std::make_shared<net::deflate_workshop>(options_.compression, compressed_)](
                   const message& what) { return workshop->with_compressed_form(what); };
  backbone_ = std::make_unique<actors::backbone>(
      actors::backbone_options{.loops = {loops_.begin(), loops_.end()},
                               .side = side_,
                               .actor_threads = options_.actor_threads,
                               .limits = options_.limits,
                               .logger = options_.logger,
                               .hits = hits_,
                               .wall_clock = &std::chrono::system_clock::now,
                               .user_linger = options_.user_linger,
                               .on_open = std::move(options_.on_open),
                               .on_message = std::move(options_.on_message),
                               .on_close = std::move(options_.on_close),
                               .per_connection = std::move(options_.per_connection),
                               .per_user = std::move(options_.per_user),
                               .session_types = options_.session_types,
                               .valid_json = &service::is_json,
                               .compress = std::move(compress)});
}

/// How many of the process' descriptors clients get under these limits; warns if those are too few.
service::descriptor_share server::impl::share_descriptors(const limits& wanted) const {
  const auto limit = service::descriptor_limit();
  const auto share = service::share_descriptors(limit, other_descriptors_, wanted.max_connections);
  if (share.clients < wanted.max_connections && options_.logger)
    (*options_.logger)(severity::warning, "process.too_few_descriptors",
                       {{"limit", std::uint64_t{limit}},
                        {"needed", std::uint64_t{share.needed}},
                        {"max_connections", std::uint64_t{wanted.max_connections}},
                        {"in_force", std::uint64_t{share.clients}},
                        {"what", std::string_view{raise_the_limit}}});
  return share;
}

void server::impl::start_listeners() {
  const auto clients = std::make_shared<service::public_service>(service::public_service_options{
      .path = options_.path,
      .origins = options_.origins,
      .admission = {.backbone = backbone_.get(),
                    .tokens = tokens_,
                    .on_upgrade = std::move(options_.on_upgrade),
                    .on_upgrade_async = std::move(options_.on_upgrade_async),
                    .logger = options_.logger,
                    .hits = hits_,
                    .refusals = refusals_,
                    .refusing = [this] { return refusing_.load(); }},
      .has_sessions = !options_.session_types.empty(),
      .ready = [this] { return !unready_; }});
  public_service_ = clients;
  other_descriptors_ = service::open_descriptors() + loops_.size();  // which are about to listen
  const auto share = share_descriptors(options_.limits);
  auto limits_in_force = options_.limits;
  limits_in_force.max_connections = share.clients;
  public_listener_ = net::listener::start({.address = options_.listen,
                                           .limits = limits_in_force,
                                           .max_body = max_public_body,
                                           .logger = options_.logger,
                                           .hits = hits_,
                                           .tls = tls_,
                                           .compression = options_.compression,
                                           .refusals_at_once = share.refusals,
                                           .compressed = compressed_},
                                          loops_, clients);
  {
    const std::lock_guard lock{mutex_};
    address_ = public_listener_->address();
    serving_ = public_listener_.get();
  }
  if (options_.internal.empty()) return;
  const auto api = std::make_shared<service::internal_api>(
      service::internal_api_options{.backbone = backbone_.get(),
                                    .loop = side_,
                                    .token = options_.internal_token,
                                    .logger = options_.logger,
                                    .status = [this] { return status(); },
                                    .hits = hits_,
                                    .refusals = refusals_,
                                    .drain_defaults = [this] { return drain_defaults(); },
                                    .drain = [this](drain_options how) { drain(std::move(how)); },
                                    .drain_state = [this] { return drain_state(); }});
  internal_listener_ = net::listener::start(
      {.address = options_.internal, .limits = internal_limits(), .logger = options_.logger},
      {side_}, api);
  internal_api_ = api;
  const std::lock_guard lock{mutex_};
  internal_address_ = internal_listener_->address();
}

void server::impl::start_gateway() {
  if (options_.actors.empty()) return;
  const auto where = *service::parse_address(options_.actors);
  auto gateway = std::make_unique<actors::session_gateway>(
      actors::gateway_options{.host = where.host,
                              .port = where.port,
                              .certificate = options_.actors_tls.certificate,
                              .key = options_.actors_tls.key,
                              .ca = options_.actors_tls.client_ca,
                              .sessions = backbone_.get(),
                              .logger = options_.logger});
  const std::lock_guard lock{mutex_};
  gateway_ = std::move(gateway);
  actors_address_ = gateway_->address();
}

std::string server::impl::actors_address() const {
  const std::lock_guard lock{mutex_};
  return actors_address_;
}

void server::impl::reload_tls() {
  if (!tls_) throw std::logic_error{"fairlead::server::reload_tls: the server has no TLS"};
  tls_->reload();
}

void server::impl::reload_jwt() {
  if (!tokens_) throw std::logic_error{"fairlead::server::reload_jwt: the server has no tokens"};
  tokens_->reload();
}

std::string server::impl::address() const {
  const std::lock_guard lock{mutex_};
  return address_;
}

std::string server::impl::internal_address() const {
  const std::lock_guard lock{mutex_};
  return internal_address_;
}

service::server_status server::impl::status() const {
  service::server_status s{.ready = !unready_, .started = started_, .listen = {}, .internal = {}};
  s.loops = loops_.size();
  s.connections = backbone_->connection_count();
  if (options_.logger) s.log_lines_lost = lines_lost(*options_.logger);
  s.stream_bytes = backbone_->stream_bytes();
  s.compressed = compressed_->compressed;
  s.compression_spared = compressed_->spared;
  s.max_total_stream_bytes = backbone_->limits().max_total_stream_bytes;
  const std::lock_guard lock{mutex_};
  s.listen = address_;
  s.internal = internal_address_;
  s.actors = actors_address_;
  if (gateway_) s.gateway = gateway_->counts();
  s.sockets = serving_ ? serving_->sockets() : 0;
  return s;
}

/// Destroying it waits for peers: not under the lock, which whoever asks for the status would wait for.
std::unique_ptr<actors::session_gateway> server::impl::take_gateway() {
  const std::lock_guard lock{mutex_};
  return std::move(gateway_);
}

bool server::impl::inside_a_loop() const noexcept {
  for (const auto& loop : loops_) {
    if (loop->inside()) return true;
  }
  return side_ && side_->inside();
}

bool server::impl::begun_before() {
  const std::lock_guard lock{mutex_};
  return std::exchange(shutdown_begun_, true);
}

std::future<shutdown_summary> server::impl::drain(drain_options how) {
  throw_if_wrong(service::check(how));
  unready_ = true;
  std::chrono::steady_clock::rep none = 0;
  drain_began_.compare_exchange_strong(none,
                                       std::chrono::steady_clock::now().time_since_epoch().count());
  auto done = std::make_shared<std::promise<shutdown_summary>>();
  auto drained = done->get_future();
  backbone_->drain(
      std::move(how),
      [this] {
        refusing_ = true;
        public_listener_->begin_stop_accepting();
      },
      [done](const shutdown_summary& s) { done->set_value(s); });
  return drained;
}

drain_options server::impl::drain_defaults() const {
  const std::lock_guard lock{mutex_};
  return drain_defaults_;
}

void server::impl::reload(const server_options& wanted) {
  throw_if_wrong(service::check_reload(options_, wanted));
  backbone_->set_limits(wanted.limits);
  auto limits_in_force = wanted.limits;
  limits_in_force.max_connections = share_descriptors(wanted.limits).clients;
  public_listener_->set_limits(limits_in_force);
  if (const auto there = public_service_.lock()) there->set_origins(wanted.origins);
  if (internal_listener_)
    side_->post([there = internal_api_, token = wanted.internal_token] {
      if (const auto api = there.lock()) api->set_token(token);
    });
  const std::lock_guard lock{mutex_};
  drain_defaults_ = wanted.drain;
}

drain_progress server::impl::drain_state() const {
  using std::chrono::steady_clock;
  auto state = backbone_->drain_state();
  if (const auto began = drain_began_.load(); began != 0)
    state.elapsed = std::chrono::duration_cast<milliseconds>(
        steady_clock::now().time_since_epoch() - steady_clock::duration{began});
  return state;
}

shutdown_summary server::impl::shutdown(milliseconds deadline, close_code code,
                                        std::string reason) {
  if (inside_a_loop()) {
    throw std::logic_error{
        "fairlead::server: shut down or destroyed from a handler, which it would wait for; do it "
        "from another thread"};
  }
  if (!may_be_sent(code) || !valid_close_reason(reason)) {
    throw std::invalid_argument{
        fmt::format("fairlead::server::shutdown: close code {} or its reason cannot be sent; "
                    "give a code such as 1001 and at most {} bytes of UTF-8",
                    static_cast<unsigned>(code), max_close_reason)};
  }
  if (begun_before()) return summary_.get();
  try {
    stopped_.set_value(take_down(deadline, code, std::move(reason)));
  } catch (...) {
    stopped_.set_exception(std::current_exception());
  }
  return summary_.get();
}

shutdown_summary server::impl::take_down(milliseconds deadline, close_code code,
                                         std::string reason) {
  unready_ = true;
  refusing_ = true;
  if (public_listener_) public_listener_->stop_accepting();
  if (gateway_) gateway_->stop_listening();
  shutdown_summary summary;
  if (backbone_) {
    // Shared: this thread may be on its way out before `set_value` has returned on the loop's.
    auto done = std::make_shared<std::promise<shutdown_summary>>();
    auto stopped = done->get_future();
    backbone_->stop(deadline, code, std::move(reason),
                    [done](const shutdown_summary& s) { done->set_value(s); });
    summary = stopped.get();  // the internal listener answers to the last
  }
  take_gateway().reset();
  if (internal_listener_) internal_listener_->stop_accepting();
  if (internal_listener_) internal_listener_->stop();
  if (public_listener_) public_listener_->stop();
  for (const auto& loop : loops_) loop->stop();
  if (side_) side_->stop();

  if (served_ && options_.logger) {
    (*options_.logger)(severity::info, "server.stopped",
                       {{"connections", summary.connections},
                        {"closed", summary.closed},
                        {"aborted", summary.aborted},
                        {"cut", summary.cut},
                        {"messages_written", summary.messages_written},
                        {"messages_refused", summary.messages_refused},
                        {"took_ms", std::int64_t{summary.took.count()}}});
  }
  return summary;
}

}  // namespace fairlead
