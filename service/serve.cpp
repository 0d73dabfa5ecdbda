#include "service/serve.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ostream>
#include <thread>

#include <fmt/ostream.h>
#include <sys/resource.h>

#include <fairlead/logging.hpp>
#include <fairlead/server.hpp>
#include <fairlead/stop_signals.hpp>
#include <fairlead/version.hpp>

#include "service/command_line.hpp"
#include "service/plain.hpp"

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
  fmt::print(out, "  WebSocket  ws://{}{}\n", s.address(), values.server.path);
  fmt::print(out, "  health     http://{}/health\n", s.address());
  if (const auto internal = s.internal_address(); !internal.empty()) {
    fmt::print(out, "  debug      http://{}/debug/tree\n", internal);
    fmt::print(out, "  API        http://{}/\n", internal);
  }
  fmt::print(out, "Ctrl-C drains and exits.\n");
  out.flush();
}

/// Shuts the server down; a second signal meanwhile ends the process at once.
void drain(server& s, const stop_signals& signals, std::chrono::milliseconds timeout, log& out) {
  std::atomic<bool> drained{false};
  std::thread impatient{[&] {
    const int number = signals.wait();
    if (drained) return;
    out(severity::warning, "server.drain_cut_short",
        {{"signal", std::int64_t{number}}, {"connections", std::uint64_t{s.connection_count()}}});
    std::_Exit(exit_failure);
  }};
  s.shutdown(timeout, close_code::going_away, "server shutting down");
  drained = true;
  pthread_kill(impatient.native_handle(), SIGTERM);
  impatient.join();
}

}  // namespace

int serve(settings values, std::ostream& out) {
  const stop_signals signals;  // before any thread there is
  std::signal(SIGPIPE, SIG_IGN);
  const auto logger = make_log(values.format, values.log_level);
  raise_descriptor_limit(*logger);

  server server;
  auto options = values.server;
  options.logger = logger;
  serve_plain(values.plain, options, server);
  if (!values.user_header.empty()) trust_user_header(values.user_header, options);
  server.start(std::move(options));
  print_addresses(server, values, out);

  const int number = signals.wait();
  (*logger)(
      severity::info, "server.stopping",
      {{"signal", number == SIGINT ? std::string_view{"SIGINT"} : std::string_view{"SIGTERM"}},
       {"connections", std::uint64_t{server.connection_count()}},
       {"drain_timeout_ms", std::int64_t{values.drain_timeout.count()}}});
  drain(server, signals, values.drain_timeout, *logger);
  return exit_clean;
}

}  // namespace fairlead::service
