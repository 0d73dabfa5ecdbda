#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <doctest/doctest.h>

#include "service/command_line.hpp"

namespace fairlead::service {
namespace {

/// One run of the parser.
struct run {
  explicit run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "fairlead");
    result = parse_command_line(static_cast<int>(arguments.size()), arguments.data(), out, err);
  }
  [[nodiscard]] const settings& values() const {
    INFO(err.str());
    REQUIRE(std::holds_alternative<serve_command>(result));
    return std::get<serve_command>(result).values;
  }
  [[nodiscard]] int exit_code() const {
    REQUIRE(std::holds_alternative<finished>(result));
    return std::get<finished>(result).exit_code;
  }
  std::ostringstream out, err;
  std::variant<serve_command, finished> result;
};

struct config_file {
  explicit config_file(std::string_view text) {
    std::string name =
        (std::filesystem::temp_directory_path() / "fairlead-command-XXXXXX").string();
    directory = mkdtemp(name.data());
    path = directory + "/fairlead.toml";
    std::ofstream{path} << text;
  }
  ~config_file() { std::filesystem::remove_all(directory); }
  std::string directory, path;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("service/command_line") {
  TEST_CASE("serve without anything is the defaults") {
    const run r{{"serve"}};
    CHECK(r.values().server.listen == "127.0.0.1:8000");
    CHECK(r.values().server.internal == "127.0.0.1:8001");
    CHECK(r.values().plain == plain_mode::broadcast);
  }

  TEST_CASE("the command line wins over the file, the file over the defaults") {
    const config_file file{
        "[listen]\naddress = \"127.0.0.1:1\"\nplain = \"off\"\n[log]\nlevel = \"error\"\n"};
    const run r{
        {"serve", "--config", file.path.c_str(), "--plain", "echo", "--drain-timeout=250ms"}};
    CHECK(r.values().server.listen == "127.0.0.1:1");
    CHECK(r.values().plain == plain_mode::echo);
    CHECK(r.values().log_level == severity::error);
    CHECK(r.values().format == log_format::human);
    CHECK(r.values().server.drain.timeout == std::chrono::milliseconds{250});
  }

  TEST_CASE("echo has wider limits, wherever it is asked for; the file's win over them") {
    const config_file echo{"[listen]\nplain = \"echo\"\n"};
    const config_file limited{"[limits]\nmax_message_size = 1000\n"};
    const auto limits_of = [](const run& r) { return r.values().server.limits; };
    const limits usual;
    CHECK(limits_of(run{{"serve", "--plain", "echo"}}).max_message_size == 16 * 1024 * 1024);
    CHECK(limits_of(run{{"serve", "--config", echo.path.c_str()}}).max_fragments == 1024 * 1024);
    CHECK(
        limits_of(run{{"serve", "--config", echo.path.c_str(), "--plain", "off"}}).max_fragments ==
        usual.max_fragments);
    const run both{{"serve", "--config", limited.path.c_str(), "--plain", "echo"}};
    CHECK(limits_of(both).max_message_size == 1000);
    CHECK(limits_of(both).max_queued_bytes > usual.max_queued_bytes);
    CHECK(limits_of(run{{"serve"}}).max_message_size == usual.max_message_size);
  }

  TEST_CASE("every option is read") {
    const run r{{"serve",
                 "--listen",
                 "[::1]:0",
                 "--internal",
                 "off",
                 "--threads",
                 "3",
                 "--path",
                 "/s",
                 "--user-header",
                 "X-User",
                 "--internal-token",
                 "t",
                 "--log-level",
                 "debug",
                 "--log-format",
                 "json",
                 "--tls-cert",
                 "c.pem",
                 "--tls-key",
                 "k.pem",
                 "--compression",
                 "on",
                 "--origins",
                 "https://a.example,*"}};
    CHECK(r.values().server.listen == "[::1]:0");
    CHECK(r.values().server.internal.empty());
    CHECK(r.values().server.threads == 3);
    CHECK(r.values().server.path == "/s");
    CHECK(r.values().server.origins == std::vector<std::string>{"https://a.example", "*"});
    CHECK(r.values().user_header == "X-User");
    CHECK(r.values().server.internal_token == "t");
    CHECK(r.values().log_level == severity::debug);
    CHECK(r.values().format == log_format::json);
    CHECK(r.values().server.tls.certificate == "c.pem");
    CHECK(r.values().server.tls.key == "k.pem");
    CHECK(r.values().server.compression.enabled);
  }

  TEST_CASE("bad values are all told at once, by option; exit 2") {
    const run r{
        {"serve", "--listen", "x", "--threads", "many", "--plain", "all", "--origins", "a"}};
    CHECK(r.exit_code() == exit_usage);
    CHECK(contains(r.err.str(), "fairlead serve: --listen: \"x\" is no address; give host:port"));
    CHECK(contains(r.err.str(), "fairlead serve: --origins: \"a\": give scheme://host"));
    CHECK(contains(r.err.str(),
                   "fairlead serve: --threads: \"many\" is no number of threads; give 1 to 1024"));
    CHECK(
        contains(r.err.str(), "fairlead serve: --plain: \"all\" is none of broadcast, echo, off"));
  }

  TEST_CASE("what becomes of slow consumers") {
    const run r{{"serve", "--slow-consumers", "drop_newest"}};
    CHECK(r.values().server.limits.slow_consumers == slow_policy::drop_newest);
    const run wrong{{"serve", "--slow-consumers", "drop"}};
    CHECK(wrong.exit_code() == exit_usage);
    CHECK(contains(wrong.err.str(), "--slow-consumers: \"drop\" is none of disconnect, "
                                    "drop_newest, drop_oldest, keep_latest"));
  }

  TEST_CASE("tokens") {
    const run r{{"serve", "--jwt-algorithm", "ES256", "--jwt-key", "k.pem", "--jwt-audience", "a",
                 "--jwt-issuer", "i"}};
    CHECK(r.values().server.jwt.algorithm == jwt_algorithm::es256);
    CHECK(r.values().server.jwt.key_file == "k.pem");
    CHECK(r.values().server.jwt.audience == "a");
    CHECK(r.values().server.jwt.issuer == "i");
    const run keyless{{"serve", "--jwt-algorithm", "ES256"}};
    CHECK(keyless.exit_code() == exit_usage);
    CHECK(contains(keyless.err.str(), "fairlead serve: --jwt-key: tokens are checked by a key"));
    const run free{{"serve", "--jwt-key", "k.pem"}};
    CHECK(contains(free.err.str(), "fairlead serve: --jwt-algorithm: tokens are accepted by one"));
    const run none{{"serve", "--jwt-key", "k.pem", "--jwt-algorithm", "none"}};
    CHECK(contains(none.err.str(), "--jwt-algorithm: \"none\" is none of HS256"));
    const run both{
        {"serve", "--jwt-key", "k.pem", "--jwt-algorithm", "HS256", "--user-header", "X"}};
    CHECK(
        contains(both.err.str(), "fairlead serve: --user-header: users are named by their tokens"));
  }

  TEST_CASE("what the options together make wrong is told too; exit 2") {
    const run r{{"serve", "--internal", "0.0.0.0:8001"}};
    CHECK(r.exit_code() == exit_usage);
    CHECK(contains(
        r.err.str(),
        "fairlead serve: --internal: \"0.0.0.0:8001\" can be reached from other machines"));
    const run half{{"serve", "--tls-cert", "c.pem"}};
    CHECK(half.exit_code() == exit_usage);
    CHECK(
        contains(half.err.str(), "fairlead serve: --tls-key: TLS needs a certificate and its key"));
    const run with_token{{"serve", "--internal", "0.0.0.0:8001", "--internal-token", "t"}};
    CHECK(with_token.values().server.internal == "0.0.0.0:8001");
  }

  TEST_CASE("wrong usage is exit 2, help and version are exit 0") {
    CHECK(run{{}}.exit_code() == exit_usage);
    CHECK(run{{"server"}}.exit_code() == exit_usage);
    CHECK(run{{"serve", "--lisen", "x"}}.exit_code() == exit_usage);
    CHECK(run{{"serve", "--listen"}}.exit_code() == exit_usage);
    CHECK(run{{"check-config"}}.exit_code() == exit_usage);
    const run help{{"--help"}};
    CHECK(help.exit_code() == exit_clean);
    CHECK(contains(help.out.str(), "check-config"));
    CHECK(contains(help.out.str(), "default-config"));
    const run serve_help{{"serve", "--help"}};
    CHECK(serve_help.exit_code() == exit_clean);
    CHECK(contains(serve_help.out.str(), "max_queued_bytes = 1048576"));
    const run version{{"--version"}};
    CHECK(version.exit_code() == exit_clean);
    CHECK(contains(version.out.str(), "fairlead "));
    CHECK(contains(version.out.str(), "CAF 0.17."));
    CHECK(contains(version.out.str(), "Boost 1."));
  }

  TEST_CASE("default-config prints a file that check-config finds good") {
    const run printed{{"default-config"}};
    CHECK(printed.exit_code() == exit_clean);
    CHECK(contains(printed.out.str(), "\n[limits]\n"));
    const config_file file{printed.out.str()};
    CHECK(run{{"check-config", file.path.c_str()}}.exit_code() == exit_clean);
  }

  TEST_CASE("check-config prints ok, or all that is wrong and exits 2") {
    const config_file good{"[log]\nlevel = \"error\"\n"};
    const run ok{{"check-config", good.path.c_str()}};
    CHECK(ok.exit_code() == exit_clean);
    CHECK(ok.out.str() == good.path + ": ok\n");

    const config_file bad{"[log]\nlevel = 1\nlevl = 2\n"};
    const run wrong{{"check-config", bad.path.c_str()}};
    CHECK(wrong.exit_code() == exit_usage);
    CHECK(contains(wrong.err.str(), bad.path + ":2: log.level: "));
    CHECK(contains(wrong.err.str(), bad.path + ":3: log.levl: "));
    const run served{{"serve", "--config", bad.path.c_str()}};
    CHECK(served.exit_code() == exit_usage);
    CHECK(contains(served.err.str(), bad.path + ":3: log.levl: "));
  }
}

}  // namespace fairlead::service
