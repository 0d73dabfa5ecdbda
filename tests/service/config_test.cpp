#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "service/config.hpp"
#include "service/config_keys.hpp"

namespace fairlead::service {
namespace {

using namespace std::chrono_literals;

/// What is said of a file that has one thing wrong.
std::string complaint(std::string_view text) {
  const auto loaded = parse_config(text, "f.toml");
  REQUIRE(loaded.problems.size() == 1);
  return to_string(loaded.problems.front());
}

/// A file for the length of a test.
struct temporary_file {
  explicit temporary_file(std::string_view text) {
    std::string name = (std::filesystem::temp_directory_path() / "fairlead-config-XXXXXX").string();
    const int fd = mkstemp(name.data());
    REQUIRE(fd >= 0);
    REQUIRE(::fclose(::fdopen(fd, "w")) == 0);
    path = name;
    std::ofstream{path} << text;
  }
  ~temporary_file() { std::filesystem::remove(path); }
  std::string path;
};

}  // namespace

TEST_SUITE("service/config") {
  TEST_CASE("an empty file is the defaults") {
    const auto loaded = parse_config("", "f.toml");
    CHECK(loaded.problems.empty());
    CHECK(loaded.values.server.listen == "127.0.0.1:8000");
    CHECK(loaded.values.server.internal == "127.0.0.1:8001");
    CHECK(loaded.values.plain == plain_mode::broadcast);
    CHECK(loaded.values.server.drain.timeout == 10s);
  }

  TEST_CASE("every key is read") {
    const auto loaded = parse_config(R"(
[listen]
address = "[::1]:0"
path = "/socket"
threads = 3
plain = "echo"
[internal]
address = "off"
token = "t"
[tls]
certificate = "c.pem"
key = "k.pem"
client_ca = "ca.pem"
min_version = "1.3"
[jwt]
algorithm = "ES384"
key_file = "jwt.pem"
audience = "here"
issuer = "there"
user_claim = "name"
metadata = ["role", "team"]
leeway = "2s"
require_expiry = false
query_parameter = "jwt"
[compression]
mode = "on"
level = 1
min_size = 0
[limits]
max_message_size = 1000
max_queued_messages = 7
max_total_stream_bytes = 5000
slow_consumers = "drop_oldest"
close_timeout = "1500ms"
[log]
level = "debug"
format = "json"
[drain]
timeout = "1m"
grace = "5s"
spread = "0s"
rate = 7
)",
                                     "f.toml");
    CHECK(loaded.problems.empty());
    const auto& s = loaded.values;
    CHECK(s.server.listen == "[::1]:0");
    CHECK(s.server.path == "/socket");
    CHECK(s.server.threads == 3);
    CHECK(s.plain == plain_mode::echo);
    CHECK(s.server.internal == "");
    CHECK(s.server.internal_token == "t");
    CHECK(s.server.tls.certificate == "c.pem");
    CHECK(s.server.tls.key == "k.pem");
    CHECK(s.server.tls.client_ca == "ca.pem");
    CHECK(s.server.tls.min_version == tls_version::tls_1_3);
    CHECK(s.server.jwt.algorithm == jwt_algorithm::es384);
    CHECK(s.server.jwt.key_file == "jwt.pem");
    CHECK(s.server.jwt.audience == "here");
    CHECK(s.server.jwt.issuer == "there");
    CHECK(s.server.jwt.user_claim == "name");
    CHECK(s.server.jwt.metadata_claims == std::vector<std::string>{"role", "team"});
    CHECK(s.server.jwt.leeway == 2s);
    CHECK_FALSE(s.server.jwt.require_expiry);
    CHECK(s.server.jwt.query_parameter == "jwt");
    CHECK(s.server.compression.enabled);
    CHECK(s.server.compression.level == 1);
    CHECK(s.server.compression.min_size == 0);
    CHECK(s.server.limits.max_message_size == 1000);
    CHECK(s.server.limits.max_queued_messages == 7);
    CHECK(s.server.limits.max_total_stream_bytes == 5000);
    CHECK(s.server.limits.slow_consumers == slow_policy::drop_oldest);
    CHECK(s.server.limits.close_timeout == 1500ms);
    CHECK(s.log_level == severity::debug);
    CHECK(s.format == log_format::json);
    CHECK(s.server.drain.timeout == 1min);
    CHECK(s.server.drain.grace == 5s);
    CHECK(s.server.drain.spread == 0s);
    CHECK(s.server.drain.rate == 7);
  }

  TEST_CASE("a proxy's header field names the user, where no token does") {
    CHECK(parse_config("[listen]\nuser_header = \"X-User\"", "f.toml").values.user_header ==
          "X-User");
    settings both;
    both.user_header = "X-User";
    CHECK(check(both).empty());
    both.server.jwt = {.algorithm = jwt_algorithm::es256, .key_file = "k.pem"};
    REQUIRE(check(both).size() == 1);
    CHECK(check(both).front().where == "listen.user_header");
    both.user_header.clear();
    CHECK(check(both).empty());
  }

  TEST_CASE("tokens: what is wrong is told by key") {
    const auto complaint = [](const std::string& text) {
      const auto loaded = parse_config("[jwt]\n" + text, "f.toml");
      REQUIRE(loaded.problems.size() == 1);
      return to_string(loaded.problems.front());
    };
    CHECK(complaint("algorithm = \"none\"") ==
          "f.toml:2: jwt.algorithm: \"none\" is none of HS256, HS384, HS512, RS256, RS384, RS512, "
          "ES256, ES384, ES512");
    CHECK(complaint("require_expiry = \"no\"") ==
          "f.toml:2: jwt.require_expiry: a string; give true or false");
    CHECK(complaint("leeway = \"1h\"") ==
          "f.toml:2: jwt.leeway: \"1h\" is out of range; give 0 ms to 10 min 0 s");
    CHECK(complaint("query_parameter = \"token\"")
              .starts_with("f.toml:2: jwt.query_parameter: \"token\": sessions have a parameter of "
                           "that name"));
    CHECK(complaint("metadata = \"role\"") ==
          "f.toml:2: jwt.metadata: a string; give a list such as [\"role\"]");
  }

  TEST_CASE("origins are a list of strings, each of which is checked") {
    CHECK(parse_config(R"([listen]
origins = ["https://a.example", "http://localhost:3000"])",
                       "f.toml")
              .values.server.origins ==
          std::vector<std::string>{"https://a.example", "http://localhost:3000"});
    CHECK(complaint("[listen]\norigins = \"https://a.example\"") ==
          R"(f.toml:2: listen.origins: a string; give a list such as ["https://example.org"])");
    CHECK(complaint("[listen]\norigins = [1]") ==
          "f.toml:2: listen.origins: an integer in the list; give strings");
    CHECK(complaint("[listen]\norigins = [\"a.example\"]")
              .starts_with(R"(f.toml:2: listen.origins: "a.example": give scheme://host)"));
    settings s;
    s.server.origins = {"https://a.example"};
    const auto& keys = config_keys();
    const auto key = std::find_if(keys.begin(), keys.end(),
                                  [](const config_key& k) { return k.name == "origins"; });
    REQUIRE(key != keys.end());
    CHECK(key->show(s) == R"(["https://a.example"])");
  }

  TEST_CASE("the reference that --help prints is a file that means the defaults") {
    const auto loaded = parse_config(default_config(), "reference");
    CHECK(loaded.problems.empty());
    CHECK(loaded.values.server.limits.max_queued_bytes == limits{}.max_queued_bytes);
    CHECK(loaded.values.server.limits.handshake_timeout == limits{}.handshake_timeout);
    CHECK(loaded.lines.size() >= 20);
  }

  TEST_CASE("unknown names: file, line, key, and what was probably meant") {
    CHECK(
        complaint("[limits]\n\nmax_mesage_size = 1") ==
        R"(f.toml:3: limits.max_mesage_size: there is no such key; did you mean "limits.max_message_size"?)");
    CHECK(complaint("[limts]\nx = 1") ==
          R"(f.toml:1: limts: there is no such section; did you mean "limits"?)");
    CHECK(
        complaint("threads = 2") ==
        R"(f.toml:1: threads: there is no such key; did you mean "listen.threads", in section [listen]?)");
    CHECK(
        complaint("[log]\nthreads = 2") ==
        R"(f.toml:2: log.threads: there is no such key; did you mean "listen.threads", in section [listen]?)");
    CHECK(complaint("[log]\nqqqqqqqqqqqqqq = 2") ==
          "f.toml:2: log.qqqqqqqqqqqqqq: there is no such key");
    CHECK(complaint("listen = \"x\"") ==
          "f.toml:1: listen: a section, not a value; write [listen] and its keys below it");
  }

  TEST_CASE("bad values: what was wrong and what would be right") {
    CHECK(complaint("[listen]\nthreads = \"two\"") ==
          "f.toml:2: listen.threads: a string; give a whole number from 0 to 1024");
    CHECK(complaint("[listen]\nthreads = -1") ==
          "f.toml:2: listen.threads: -1 is out of range; give a whole number from 0 to 1024");
    CHECK(complaint("[limits]\nmax_message_size = 0") ==
          "f.toml:2: limits.max_message_size: 0 is out of range; give a whole number from 1 to "
          "4294967280");
    CHECK(
        complaint("[limits]\nclose_timeout = 5") ==
        R"(f.toml:2: limits.close_timeout: an integer; give a duration such as "500ms", "10s", "2m" or "1h", in quotes)");
    CHECK(
        complaint("[limits]\nclose_timeout = \"5\"") ==
        R"(f.toml:2: limits.close_timeout: "5" is no duration; give a duration such as "500ms", "10s", "2m" or "1h")");
    CHECK(
        complaint("[listen]\nplain = \"ecko\"") ==
        R"(f.toml:2: listen.plain: "ecko" is none of broadcast, echo, off; did you mean "echo"?)");
    CHECK(complaint("[log]\nlevel = true") == "f.toml:2: log.level: a boolean; give a string");
    CHECK(complaint("[internal]\ntoken_file = \"/does/not/exist\"") ==
          R"(f.toml:2: internal.token_file: "/does/not/exist" cannot be read or is empty)");
    CHECK(complaint("[listen]\nuser_header = \"a b\"")
              .starts_with("f.toml:2: listen.user_header: \"a b\" is no header"));
  }

  TEST_CASE("text that is no TOML: where, and what the parser says") {
    CHECK(complaint("[listen]\naddress = ").starts_with("f.toml:2: no TOML at column "));
    CHECK(complaint("[log]\nlevel=\"info\"\nlevel=\"info\"")
              .starts_with("f.toml:3: no TOML at column "));
  }

  TEST_CASE("a complaint is one line, whatever of the file it shows") {
    CHECK(complaint("a = -n\n").find('\n') == std::string::npos);  // toml++ quotes what it saw
    CHECK(complaint("\"a\\nb\" = 1") == R"(f.toml:1: a\nb: there is no such key)");
  }

  TEST_CASE("all that is wrong is told at once, in the order of the file") {
    const auto loaded =
        parse_config("[log]\nlevel = 1\n[listen]\nthreads = -1\npath = \"x\"", "f.toml");
    REQUIRE(loaded.problems.size() == 3);
    CHECK(loaded.problems[0].key == "log.level");
    CHECK(loaded.problems[1].key == "listen.threads");
    CHECK(loaded.problems[2].key == "listen.path");
  }

  TEST_CASE("a file that cannot be read says why") {
    CHECK(to_string(load_config("/does/not/exist").problems.at(0)) ==
          "/does/not/exist: cannot be read: No such file or directory");
    CHECK(to_string(load_config("/").problems.at(0)) == "/: cannot be read: Is a directory");
  }

  TEST_CASE("check: what only the settings together can tell has its line too") {
    const temporary_file file{"[internal]\n# open to all\naddress = \"0.0.0.0:8001\"\n"};
    const auto loaded = check_config(file.path);
    REQUIRE(loaded.problems.size() == 1);
    CHECK(to_string(loaded.problems[0])
              .starts_with(
                  file.path +
                  ":3: internal.address: \"0.0.0.0:8001\" can be reached from other machines"));
  }

  TEST_CASE("a token file holds the token on its first line") {
    const temporary_file token{"s3cret\r\nmore\n"};
    const auto loaded = parse_config("[internal]\ntoken_file = \"" + token.path + "\"", "f.toml");
    CHECK(loaded.problems.empty());
    CHECK(loaded.values.server.internal_token == "s3cret");
  }
}

}  // namespace fairlead::service
