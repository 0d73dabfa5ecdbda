#include "service/command_line.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <ostream>
#include <sstream>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ostream.h>

#include "service/config.hpp"
#include "service/library_versions.hpp"
#include "service/options.hpp"
#include "service/origins.hpp"
#include "service/text.hpp"

namespace fairlead::service {
namespace {

/// An option that may be given, and what it sets; returns what was wrong and what would be right.
struct flag {
  std::string name, placeholder, about;
  std::function<std::string(settings&, const std::string&)> set;
  std::optional<std::string> given = {};
};

std::string set_threads(settings& s, const std::string& text) {
  unsigned n = 0;
  if (!CLI::detail::lexical_cast(text, n) || n > most_threads || text.starts_with('-')) {
    return fmt::format("{} is no number of threads; give 1 to {}, or 0 for one per core",
                       in_quotes(text), most_threads);
  }
  s.server.threads = n;
  return {};
}

std::vector<flag> serve_flags() {
  return {
      {"--listen", "HOST:PORT", "where clients connect; port 0 picks a free one [127.0.0.1:8000]",
       &set_listen},
      {"--internal", "HOST:PORT",
       "debug and API, \"off\" for none; beyond loopback only with a token [127.0.0.1:8001]",
       &set_internal},
      {"--internal-token-file", "FILE",
       "asks on --internal for \"Authorization: Bearer <first line of FILE>\"", &set_token_file},
      {"--internal-token", "TOKEN",
       "the same, but visible to every user of this machine: better use the file", &set_token},
      {"--threads", "N", "event loops; 0 is one per core [0]", &set_threads},
      {"--path", "PATH", "where WebSocket upgrades are accepted [/ws]", &set_path},
      {"--origins", "LIST",
       "web pages that may connect, such as https://example.org,https://example.com; * for any; "
       "clients that are no browsers always may [none]",
       [](settings& s, const std::string& list) { return set_origins(s, split_list(list)); }},
      {"--plain", "MODE",
       "a client's message goes to all (broadcast), back (echo: for trying clients, with wider "
       "limits "
       "unless the file sets them), or nowhere (off) [broadcast]",
       &set_plain},
      {"--user-header", "NAME",
       "header field by which a trusted proxy names the user; without it all are anonymous",
       &set_user_header},
      {"--session-types", "LIST",
       "names of the types of session that the API may spawn, with the default options; off for "
       "none [session]",
       [](settings& s, const std::string& list) { return set_session_types(s, split_list(list)); }},
      {"--actors", "HOST:PORT",
       "where CAF processes may spawn sessions; beyond loopback only with [actors] certificates in "
       "the file [off]",
       &set_actors},
      {"--slow-consumers", "POLICY",
       "when a client's queue is full: disconnect (3008), drop_newest, drop_oldest, keep_latest "
       "[disconnect]",
       &set_slow_consumers},
      {"--tls-cert", "FILE", "wss:// instead of ws://: the certificate and its chain, PEM",
       &set_tls_certificate},
      {"--tls-key", "FILE", "its private key, PEM, without a passphrase", &set_tls_key},
      {"--jwt-algorithm", "NAME",
       "clients have to show tokens signed so: HS256, RS256, ES256, or with 384 or 512",
       &set_jwt_algorithm},
      {"--jwt-key", "FILE", "HS: the secret; RS, ES: the public key, PEM", &set_jwt_key_file},
      {"--jwt-audience", "TEXT", "has to be in a token's aud", &set_jwt_audience},
      {"--jwt-issuer", "TEXT", "has to be a token's iss", &set_jwt_issuer},
      {"--compression", "MODE", "on: permessage-deflate for clients that offer it; off [off]",
       &set_compression},
      {"--drain-timeout", "TIME",
       "from SIGTERM to the end, who is left then is cut: 500ms, 10s, 2m [10s]",
       &set_drain_timeout},
      {"--drain-grace", "TIME", "of that, how long all goes on after /ready has turned 503 [0s]",
       &set_drain_grace},
      {"--drain-spread", "TIME", "over how long closes are spread at most [5s]", &set_drain_spread},
      {"--drain-rate", "N", "closes a second, more where the spread would be passed [1000]",
       &set_drain_rate},
      {"--log-level", "LEVEL", "debug, info, warning or error [info]", &set_log_level},
      {"--log-format", "FORMAT", "human or json, on standard error [human]", &set_log_format},
  };
}

std::string program_footer() {
  return "Start with:    fairlead serve\n"
         "Then look at:  curl http://127.0.0.1:8001/debug/tree\n"
         "All options:   fairlead serve --help\n"
         "Exit codes:    0 clean, 1 failed while running, 2 wrong usage or configuration,\n"
         "               3 drained, but some clients had to be cut at the deadline";
}

std::string serve_footer() {
  return fmt::format("SIGTERM and SIGINT drain: no new clients, everyone is closed with 1012, exit "
                     "0. A second signal\n"
                     "cuts them at once. The command line wins over the file. The file is "
                     "TOML; these are all\n"
                     "its keys with their defaults:\n\n{}",
                     default_config());
}

/// The parser with all commands; what it finds goes into `flags`, `config` and `file`.
struct parser {
  CLI::App app{"Fairlead, a WebSocket connection manager: one actor per connection."};
  CLI::App* serve = nullptr;
  CLI::App* defaults = nullptr;
  CLI::App* check = nullptr;
  std::vector<flag> flags = serve_flags();
  std::string config, file;

  parser() {
    app.name("fairlead");
    app.require_subcommand(1);
    app.set_version_flag("--version", versions(),
                         "prints the versions of Fairlead and of what it is built on");
    app.footer(program_footer());
    serve = app.add_subcommand("serve", "runs the server");
    serve->footer(serve_footer);
    for (auto& f : flags) serve->add_option(f.name, f.given, f.about)->type_name(f.placeholder);
    serve->add_option("--config", config, "reads settings from a file")->type_name("FILE");
    defaults = app.add_subcommand(
        "default-config",
        "prints a configuration file with every key, its default and its meaning");
    check = app.add_subcommand(
        "check-config", "reads a configuration file and prints \"ok\", or all that is wrong");
    check->add_option("FILE", file, "the configuration file")->required()->type_name("");
  }
};

int print_problems(const std::vector<config_problem>& problems, std::ostream& err) {
  for (const auto& p : problems) fmt::print(err, "{}\n", to_string(p));
  return problems.empty() ? exit_clean : exit_usage;
}

int run_check(const std::string& file, std::ostream& out, std::ostream& err) {
  const int code = print_problems(check_config(file).problems, err);
  if (code == exit_clean) fmt::print(out, "{}: ok\n", file);
  return code;
}

/// The option of the command line that sets the server option of this name.
std::string flag_name(std::string_view option) {
  if (option == "internal_token") return "--internal-token";
  if (option == "listen.user_header") return "--user-header";
  if (option == "jwt.key_file") return "--jwt-key";
  if (option == "tls.certificate") return "--tls-cert";
  if (option == "tls.key") return "--tls-key";
  auto name = fmt::format("--{}", option);
  std::replace(name.begin(), name.end(), '.', '-');
  return name;
}

using complain = std::function<void(std::string_view where, std::string_view what)>;

/// The file and the flags, over these defaults.
loaded_config read_over(settings defaults, const parser& p, const complain& wrong_flag) {
  loaded_config loaded;
  loaded.values = std::move(defaults);
  if (!p.config.empty()) loaded = load_config(p.config, std::move(loaded.values));
  for (const auto& f : p.flags) {
    if (!f.given) continue;
    if (const auto wrong = f.set(loaded.values, *f.given); !wrong.empty())
      wrong_flag(f.name, wrong);
  }
  return loaded;
}

/// `decides`: the mode whose limits hold where nothing is said; none: the one that is asked for.
std::variant<serve_command, finished> read_serve(const parser& p, std::ostream& err,
                                                 std::optional<plain_mode> decides) {
  int code = exit_clean;
  const complain wrong_flag = [&](std::string_view where, std::string_view what) {
    fmt::print(err, "fairlead serve: {}: {}\n", where, what);
    code = exit_usage;
  };
  auto loaded = read_over({}, p, wrong_flag);
  if (print_problems(loaded.problems, err) != exit_clean) code = exit_usage;
  if (code != exit_clean) return finished{code};
  // The mode may be said anywhere.
  const auto asked_for = loaded.values.plain;
  loaded = read_over(default_settings(decides.value_or(asked_for)), p, wrong_flag);
  loaded.values.plain = asked_for;
  for (const auto& problem : check(loaded.values))
    wrong_flag(flag_name(problem.where), problem.what);
  if (code != exit_clean) return finished{code};
  return serve_command{std::move(loaded.values)};
}

std::variant<serve_command, finished> parse(int argc, const char* const* argv, std::ostream& out,
                                            std::ostream& err, std::optional<plain_mode> decides) {
  parser p;
  try {
    p.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 prints help and version, or the error and where to find help.
    const bool good = p.app.exit(error, out, err) == 0;
    return finished{good ? exit_clean : exit_usage};
  }
  if (p.defaults->parsed()) {
    out << default_config();
    return finished{};
  }
  if (p.check->parsed()) return finished{run_check(p.file, out, err)};
  return read_serve(p, err, decides);
}

}  // namespace

std::variant<serve_command, finished> parse_command_line(int argc, const char* const* argv,
                                                         std::ostream& out, std::ostream& err) {
  return parse(argc, argv, out, err, std::nullopt);
}

std::variant<settings, std::vector<std::string>> parse_again(int argc, const char* const* argv,
                                                             plain_mode in_force) {
  std::ostringstream nobody, complaints;
  auto command = parse(argc, argv, nobody, complaints, in_force);
  if (auto* serve = std::get_if<serve_command>(&command)) return std::move(serve->values);
  std::vector<std::string> lines;
  std::istringstream all{complaints.str()};
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  return lines;
}

}  // namespace fairlead::service
