#include "service/metrics.hpp"

#include <atomic>
#include <chrono>
#include <fstream>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fairlead/version.hpp>

namespace fairlead::service {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using label = std::pair<const char*, std::string_view>;
using seconds = std::chrono::duration<double>;

/// The families of one page, in the order in which they are added.
class page {
 public:
  page& counter(std::string name, std::string help) {
    return add(std::move(name), std::move(help), MetricType::Counter);
  }
  page& gauge(std::string name, std::string help) {
    return add(std::move(name), std::move(help), MetricType::Gauge);
  }
  /// One series of the family that was added last.
  page& value(double what, std::initializer_list<label> labels = {}) {
    auto& metric = series(labels);
    (families_.back().type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
        what;
    return *this;
  }
  page& value(std::uint64_t what, std::initializer_list<label> labels = {}) {
    return value(static_cast<double>(what), labels);
  }
  void histogram(std::string name, std::string help, const protocol::histogram& h) {
    add(std::move(name), std::move(help), MetricType::Histogram);
    auto& out = series({}).histogram;
    out.sample_sum = seconds{h.sum()}.count();
    for (std::size_t i = 0; i <= h.bounds.size(); ++i) {
      out.sample_count += h.count(i);
      if (i < h.bounds.size())
        out.bucket.push_back({out.sample_count, seconds{h.bounds[i]}.count()});
    }
  }
  [[nodiscard]] std::string text() const {
    return prometheus::TextSerializer{}.Serialize(families_);
  }

 private:
  page& add(std::string name, std::string help, MetricType type) {
    families_.push_back({std::move(name), std::move(help), type, {}});
    return *this;
  }
  ClientMetric& series(std::initializer_list<label> labels) {
    auto& metric = families_.back().metric.emplace_back();
    for (const auto& [name, text] : labels) metric.label.push_back({name, std::string{text}});
    return metric;
  }

  std::vector<MetricFamily> families_;
};

/// All loops together.
struct totals {
  protocol::loop_metrics counts;
  std::array<std::uint64_t, 6> by_state{};
  std::uint64_t rosters_mailboxes = 0, users = 0, behaviors = 0;
};

totals sum_of(const std::vector<actors::loop_snapshot>& loops) {
  totals all;
  auto& [tally, traffic, messages, bytes, mailboxes] = all.counts;
  for (const auto& [node, loop] : loops) {
    tally.opened += loop.tally.opened;
    for (const auto& [key, n] : loop.tally.ended) tally.ended[key] += n;
    tally.admission += loop.tally.admission;
    tally.closing += loop.tally.closing;
    protocol::operator+=(traffic, loop.totals);
    messages += loop.queued_messages;
    bytes += loop.queued_bytes;
    mailboxes += loop.mailboxes;
    for (std::size_t i = 0; i < all.by_state.size(); ++i) all.by_state[i] += node.by_state[i];
    all.rosters_mailboxes += node.mailbox;
    all.users += node.users;
    all.behaviors += node.behaviors;
  }
  return all;
}

void add_connections(page& out, const totals& all) {
  using protocol::connection_state;
  out.gauge("fairlead_connections", "Connections, by state.");
  for (const auto state : {connection_state::connecting, connection_state::accepted,
                           connection_state::open, connection_state::closing})
    out.value(all.by_state[static_cast<std::size_t>(state)], {{"state", to_string(state)}});
  out.counter("fairlead_connections_opened_total", "Connections that became open.")
      .value(all.counts.tally.opened);
  out.counter("fairlead_connections_closed_total",
              "Connections that ended, by who was first, close code and severity.");
  for (const auto& [key, n] : all.counts.tally.ended)
    out.value(
        n,
        {{"initiator", to_string(key.by)}, {"code", key.code}, {"severity", to_string(key.level)}});
  out.histogram("fairlead_admission_duration_seconds", "From the upgrade request to open.",
                all.counts.tally.admission);
  out.histogram("fairlead_close_duration_seconds", "From the first Close frame to the end.",
                all.counts.tally.closing);
}

void add_messages(page& out, const totals& all, const server_status& server) {
  const auto& passed = all.counts.totals;
  out.counter("fairlead_messages_received_total", "Messages from clients.")
      .value(passed.messages_in);
  out.counter("fairlead_received_bytes_total", "Their payload.").value(passed.bytes_in);
  out.counter("fairlead_messages_sent_total",
              "Messages to connections by outcome; written: the kernel took the last byte.");
  for (std::size_t i = 0; i < send_result_count; ++i)
    out.value(passed.outcomes[i], {{"outcome", to_string(static_cast<send_result>(i))}});
  out.counter("fairlead_sent_bytes_total", "Bytes of written messages, frame headers included.")
      .value(passed.bytes_written);
  out.counter("fairlead_compressed_messages_total",
              "Compressions made; of a broadcast one, whoever gets it.")
      .value(server.compressed);
  out.counter("fairlead_compression_spared_messages_total",
              "Messages left as they are, since compressing took half of an event loop's time.")
      .value(server.compression_spared);
  out.gauge("fairlead_queued_messages", "Accepted for connections and not settled.")
      .value(all.counts.queued_messages);
  out.gauge("fairlead_queued_bytes", "Their bytes.").value(all.counts.queued_bytes);
}

/// Nothing where no type is registered.
void add_sessions(page& out, const session_kinds& kinds, const server_status& server) {
  if (kinds.empty()) return;
  using counts = actors::session_counts;
  const auto by_type = [&](const char* name, const char* help,
                           std::atomic<std::uint64_t> counts::*member) {
    out.counter(name, help);
    for (const auto& kind : kinds) out.value((kind->counts.*member).load(), {{"type", kind->name}});
  };
  const auto by_type_and = [&](const char* name, const char* help, const char* second, auto member,
                               auto enumerator) {
    out.counter(name, help);
    using named = typename decltype(enumerator)::type;
    for (const auto& kind : kinds)
      for (std::size_t i = 0; i < (kind->counts.*member).size(); ++i)
        if (const auto n = (kind->counts.*member)[i].load(); n > 0)
          out.value(n, {{"type", kind->name}, {second, to_string(static_cast<named>(i))}});
  };
  out.gauge("fairlead_sessions", "Sessions that have not ended, by type and state.");
  for (const auto& kind : kinds)
    for (std::size_t i = 0; i < static_cast<std::size_t>(session_state::ended); ++i)
      out.value(static_cast<double>(kind->counts.by_state[i].load()),
                {{"type", kind->name}, {"state", to_string(static_cast<session_state>(i))}});
  by_type("fairlead_sessions_spawned_total", "Sessions that began.", &counts::spawned);
  by_type_and("fairlead_sessions_ended_total", "Sessions that ended, by what ended them.", "by",
              &counts::ended, std::type_identity<session_ender>{});
  by_type("fairlead_session_restarts_total", "Behaviours that failed and were restarted.",
          &counts::restarts);
  by_type_and("fairlead_session_attaches_total", "Sockets that wanted to attach, by result.",
              "result", &counts::attaches, std::type_identity<actors::attach_outcome>{});
  by_type("fairlead_session_events_total", "Events that entered streams.", &counts::emitted);
  by_type_and("fairlead_session_events_refused_total", "Events that did not, by why.", "reason",
              &counts::refused, std::type_identity<emit_result>{});
  out.gauge("fairlead_session_kept_bytes",
            "Of events that all sessions keep, frame headers included.")
      .value(std::uint64_t{server.stream_bytes});
  out.gauge("fairlead_session_kept_max_bytes", "The budget for them, max_total_stream_bytes.")
      .value(std::uint64_t{server.max_total_stream_bytes});
  by_type("fairlead_session_events_replayed_total", "Events sent to sockets that had missed them.",
          &counts::replayed);
  by_type("fairlead_session_messages_received_total", "Clients' messages to sessions.",
          &counts::received);
  by_type("fairlead_session_acks_total", "Acknowledgements that told something new.",
          &counts::acks);
}

void add_actors(page& out, const actors::metrics_snapshot& now, const totals& all) {
  out.gauge("fairlead_mailbox_messages", "Messages that wait in mailboxes, by kind of actor.")
      .value(now.supervisor.mailbox, {{"actor", "supervisor"}})
      .value(all.rosters_mailboxes, {{"actor", "roster"}})
      .value(all.counts.mailboxes, {{"actor", "connection"}});
  out.gauge("fairlead_users", "Users with a connection, each loop's for itself.").value(all.users);
  out.gauge("fairlead_behaviors", "Embedder's actors.").value(all.behaviors);
  out.gauge("fairlead_loop_lag_seconds", "How long a message to this loop waited.");
  for (std::size_t i = 0; i < now.loops.size(); ++i)
    out.value(seconds{now.loops[i].node.loop_lag}.count(), {{"loop", std::to_string(i)}});
  out.gauge("fairlead_loop_answered",
            "Whether this loop answered in time; if not, its figures are old.");
  for (std::size_t i = 0; i < now.loops.size(); ++i)
    out.value(now.loops[i].node.answered ? 1.0 : 0.0, {{"loop", std::to_string(i)}});
}

void add_gateway(page& out, const actors::gateway_counts& n) {
  out.gauge("fairlead_actor_peers", "Connections of other CAF processes.")
      .value(std::uint64_t{n.peers});
  out.counter("fairlead_actor_peers_accepted_total", "Their connections that were let in.")
      .value(n.accepted);
  out.counter("fairlead_actor_peers_refused_total",
              "Those that were not: too many, or TLS did not begin.")
      .value(n.refused);
  out.counter("fairlead_actor_peers_cut_total", "Those that broke a rule or were silent.")
      .value(n.cut);
  out.counter("fairlead_actor_requests_total", "What they asked of sessions.").value(n.requests);
  out.counter("fairlead_actor_messages_swallowed_total",
              "Messages of theirs that no session takes, or for another actor.")
      .value(n.swallowed);
}

void add_server(page& out, const server_status& server, const protocol::limit_hits& hits,
                const upgrade_refusals& refusals) {
  out.counter("fairlead_limit_hits_total", "How often each limit, policy or refusal has acted.");
  for (std::size_t i = 0; i < protocol::limit_hit_count; ++i) {
    const auto limit = static_cast<protocol::limit_hit>(i);
    out.value(hits.count(limit), {{"limit", to_string(limit)}});
  }
  out.counter("fairlead_upgrades_refused_total",
              "Upgrade requests that were well-formed and did not become a connection, by why.");
  for (std::size_t i = 0; i < upgrade_refusal_count; ++i) {
    const auto reason = static_cast<upgrade_refusal>(i);
    out.value(refusals.count(reason), {{"reason", to_string(reason)}});
  }
  out.gauge("fairlead_sockets", "Open sockets of the public listener, HTTP and lingering included.")
      .value(std::uint64_t{server.sockets});
  out.counter("fairlead_log_lines_lost_total",
              "Log lines that were dropped because standard error was not read.")
      .value(server.log_lines_lost);
  out.gauge("fairlead_ready", "1 while it serves, 0 once it drains.")
      .value(server.ready ? 1.0 : 0.0);
  out.gauge("fairlead_build_info", "1; the label tells the version.")
      .value(1.0, {{"version", version()}});
}

void add_process(page& out, const process_figures& process) {
  const auto known = [&](const char* name, const char* help, double figure) {
    if (figure > 0) out.gauge(name, help).value(figure);
  };
  if (process.cpu_seconds > 0)
    out.counter("process_cpu_seconds_total", "Processor time.").value(process.cpu_seconds);
  known("process_resident_memory_bytes", "Resident memory.",
        static_cast<double>(process.resident_bytes));
  known("process_max_fds", "The limit on open descriptors.",
        static_cast<double>(process.max_descriptors));
  known("process_start_time_seconds", "When the server began, in seconds since the epoch.",
        process.started_at);
}

}  // namespace

process_figures read_process_figures() {
  process_figures now;
  std::uint64_t all = 0, resident = 0;
  if (std::ifstream{"/proc/self/statm"} >> all >> resident)
    now.resident_bytes = resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) == 0) {
    const auto time = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    now.cpu_seconds = time(used.ru_utime) + time(used.ru_stime);
  }
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) now.max_descriptors = descriptors.rlim_cur;
  return now;
}

std::string metrics_page::render(const actors::metrics_snapshot& now, const server_status& server,
                                 const protocol::limit_hits& hits, const upgrade_refusals& refusals,
                                 const process_figures& process, const session_kinds& kinds) {
  last_.resize(now.loops.size());
  for (std::size_t i = 0; i < now.loops.size(); ++i)
    if (now.loops[i].node.answered) last_[i] = now.loops[i];
  const auto all = sum_of(last_);
  page out;
  add_connections(out, all);
  add_messages(out, all, server);
  add_actors(out, now, all);
  add_sessions(out, kinds, server);
  if (server.gateway) add_gateway(out, *server.gateway);
  add_server(out, server, hits, refusals);
  add_process(out, process);
  return out.text();
}

}  // namespace fairlead::service
