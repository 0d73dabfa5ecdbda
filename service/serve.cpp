#include "service/serve.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <future>
#include <ostream>
#include <thread>

#include <fmt/ostream.h>
#include <sys/resource.h>

#include <fairlead/logging.hpp>
#include <fairlead/server.hpp>
#include <fairlead/stop_signals.hpp>
#include <fairlead/version.hpp>

#include "service/command_line.hpp"
#include "service/memory_trimmer.hpp"
#include "service/plain.hpp"
#include "service/server_access.hpp"

namespace fairlead::service {
namespace {

/// A connection is a descriptor; the usual soft limit of 1,024 is an old default, the hard one is the operator's word.
void raise_descriptor_limit(log& out) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  const bool raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
  out(raised ? severity::info : severity::warning, "process.descriptors",
      {{"limit", std::uint64_t{raised ? limit.rlim_cur : before}},
       {"before", std::uint64_t{before}}});
}

void print_addresses(const server& s, const settings& values, std::ostream& out) {
  fmt::print(out, "fairlead {}\n", version());
  const char* const s_if_tls = values.server.tls.certificate.empty() ? "" : "s";
  fmt::print(out, "  WebSocket  ws{}://{}{}\n", s_if_tls, s.address(), values.server.path);
  fmt::print(out, "  health     http{}://{}/health\n", s_if_tls, s.address());
  if (const auto internal = s.internal_address(); !internal.empty()) {
    fmt::print(out, "  debug      http://{}/debug/tree\n", internal);
    fmt::print(out, "  API        http://{}/\n", internal);
  }
  if (const auto actors = s.actors_address(); !actors.empty())
    fmt::print(out, "  actors     {}\n", actors);
  fmt::print(out, "Ctrl-C drains and exits.\n");
  out.flush();
}

/// Drains and ends the server; a second signal meanwhile cuts who is left. A long grace may outlive a certificate, so SIGHUP
/// still reloads. Returns the exit code.
int drain(server& s, const stop_signals& signals, log& out, const std::function<void()>& reload) {
  std::atomic<bool> cut_short{false}, over{false};
  std::promise<void> ended;
  std::thread impatient{[&, ending = ended.get_future()] {
    int number = signals.wait();
    for (; number == SIGHUP && !over; number = signals.wait()) reload();
    if (over) return;
    cut_short = true;
    out(severity::warning, "server.drain_cut_short",
        {{"signal", std::int64_t{number}}, {"connections", std::uint64_t{s.connection_count()}}});
    s.drain({.spread = std::chrono::milliseconds{0}, .timeout = std::chrono::milliseconds{0}});
    // Something of ours is stuck: nothing is left to wait for.
    if (ending.wait_for(std::chrono::seconds{1}) != std::future_status::ready)
      std::_Exit(exit_failure);
  }};
  const auto summary = s.drain().get();
  s.shutdown();
  over = true;
  ended.set_value();
  pthread_kill(impatient.native_handle(), SIGTERM);
  impatient.join();
  return cut_short ? exit_failure : summary.cut > 0 ? exit_cut : exit_clean;
}

}  // namespace

int serve(settings values, const read_again& read, std::ostream& out) {
  const stop_signals signals{SIGHUP};  // before any thread there is
  std::signal(SIGPIPE, SIG_IGN);
  const auto logger = make_log(values.format, values.log_level);
  raise_descriptor_limit(*logger);

  server server;
  auto options = values.server;
  options.logger = logger;
  serve_plain(values.plain, options, server);
  if (!values.user_header.empty()) trust_user_header(values.user_header, options);
  server.start(std::move(options));
  const memory_trimmer trimmer{[backbone = server_access::backbone(server)] {
                                 return backbone->queued_bytes() + backbone->stream_bytes();
                               },
                               *logger};
  print_addresses(server, values, out);

  const auto reload_all = [&] { reload(server, values, read, *logger); };
  int number = signals.wait();
  for (; number == SIGHUP; number = signals.wait()) reload_all();
  (*logger)(
      severity::info, "server.stopping",
      {{"signal", number == SIGINT ? std::string_view{"SIGINT"} : std::string_view{"SIGTERM"}},
       {"connections", std::uint64_t{server.connection_count()}},
       {"drain_timeout_ms", std::int64_t{values.server.drain.timeout.count()}}});
  return drain(server, signals, *logger, reload_all);
}

}  // namespace fairlead::service
