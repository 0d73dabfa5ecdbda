#include <array>
#include <fstream>
#include <mutex>

#include <doctest/doctest.h>

#include "service/command_line.hpp"
#include "service/reload.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/tokens.hpp"
#include "tests/support/waiting.hpp"

namespace fairlead::service {
namespace {

using names = std::vector<std::string>;

settings on_free_ports() {
  settings s;
  s.server.listen = "127.0.0.1:0";
  s.server.internal = "127.0.0.1:0";
  s.server.threads = 1;
  return s;
}

}  // namespace

TEST_SUITE("service/reload") {
  TEST_CASE("what differs is told by key, apart from what needs a restart") {
    settings before, after;
    CHECK(between(before, after).reloadable.empty());
    CHECK(between(before, after).needs_restart.empty());
    after.server.limits.max_connections = 7;
    after.server.drain.rate = 3;
    after.server.internal_token = "t";
    after.log_level = severity::debug;
    after.server.listen = "127.0.0.1:1";
    after.server.threads = 9;
    after.format = log_format::json;
    CHECK(between(before, after).reloadable ==
          names{"internal.token", "limits.max_connections", "log.level", "drain.rate"});
    CHECK(between(before, after).needs_restart ==
          names{"listen.address", "listen.threads", "log.format"});
  }

  TEST_CASE(
      "a reload puts in force what can be and says so; what needs a restart is said again each "
      "time") {
    auto in_force = on_free_ports();
    server s{in_force.server};
    test::recording_log lines;
    auto wanted = in_force;
    wanted.server.limits.max_connections = 1;
    wanted.server.internal_token = "s3cret";
    wanted.server.origins = {"https://example.org"};
    wanted.server.threads = 2;
    const auto upgrade = [&] {
      test::raw_client page{s.address()};
      page.send(test::raw_client::upgrade_request("/ws", "Origin: https://example.org\r\n"));
      return page.receive_reply().status;
    };
    CHECK(upgrade() == 403);
    const read_again read = [&] { return wanted; };
    reload(s, in_force, read, lines);
    CHECK(lines.count("config.reloaded",
                      "changed=listen.origins internal.token "
                      "limits.max_connections needs_restart=listen.threads") == 1);
    CHECK(lines.lines.back().text.find("s3cret") == std::string::npos);

    const auto status = [&](std::string_view fields) {
      return test::request(s.internal_address(), "GET", "/debug/tree", {}, fields).status;
    };
    CHECK(test::eventually([&] { return status("") == 401; }));
    CHECK(status("Authorization: Bearer s3cret\r\n") == 200);
    CHECK(test::eventually([&] { return s.connection_count() == 0; }));
    CHECK(upgrade() == 101);
    REQUIRE(test::eventually([&] { return s.connection_count() == 0; }));
    test::raw_client first{s.address()};
    CHECK(test::eventually([&] {
      first = test::raw_client{s.address()};  // until the sockets above are gone
      first.send(test::raw_client::upgrade_request());
      return first.receive_reply().status == 101;
    }));
    test::raw_client second{s.address()};
    second.send(test::raw_client::upgrade_request());
    CHECK(second.receive_reply().status == 503);

    reload(s, in_force, read, lines);
    CHECK(lines.count("config.reloaded", "changed= needs_restart=listen.threads") == 1);
  }

  TEST_CASE("a mode that needs a restart brings none of its limits before that") {
    const test::temporary_folder folder;
    const auto path = folder.file("f.toml");
    const auto write = [&](std::string_view mode, std::string_view limits) {
      std::ofstream{path} << "[internal]\naddress = \"127.0.0.1:0\"\n[limits]\n"
                          << limits << "[listen]\naddress = \"127.0.0.1:0\"\nthreads = 1\n"
                          << mode;
    };
    const std::array arguments{"fairlead", "serve", "--config", path.c_str()};
    for (const std::string_view first : {"plain = \"off\"\n", ""}) {
      CAPTURE(first);
      write(first, "");
      const auto mode = first.empty() ? plain_mode::broadcast : plain_mode::off;
      const auto start = parse_again(4, arguments.data(), mode);
      auto in_force = std::get<settings>(start);
      const auto read = [&] { return parse_again(4, arguments.data(), mode); };
      server s{in_force.server};
      test::recording_log lines;
      write("plain = \"echo\"\n", "max_fragments = 9\n");
      for (int i = 0; i < 2; ++i) reload(s, in_force, read, lines);
      CHECK(lines.count("config.reloaded",
                        "changed=limits.max_fragments needs_restart=listen.plain") == 1);
      CHECK(lines.count("config.reloaded", "changed= needs_restart=listen.plain") == 1);
      CHECK(in_force.server.limits.max_message_size == limits{}.max_message_size);
      CHECK(in_force.server.limits.max_fragments == 9);
      write("", "");
      reload(s, in_force, read, lines);
      CHECK(lines.count("config.reloaded",
                        first.empty() ? "needs_restart=" : "needs_restart=listen.plain") >= 1);
      CHECK(in_force.server.limits.max_fragments == limits{}.max_fragments);
    }
  }

  TEST_CASE("a bad new configuration is told line by line, and all stays as it was") {
    auto in_force = on_free_ports();
    server s{in_force.server};
    test::recording_log lines;
    reload(
        s, in_force,
        [] {
          return names{"f.toml:1: one", "f.toml:2: two"};
        },
        lines);
    CHECK(lines.count("config.reload_failed") == 2);
    CHECK(lines.count("config.reload_failed", "what=f.toml:2: two") == 1);

    auto wanted = in_force;
    wanted.server.limits.max_connections = 0;
    reload(
        s, in_force, [&] { return wanted; }, lines);
    CHECK(lines.count("config.reload_failed", "limits.max_connections: 0 is out of range") == 1);
    CHECK(lines.count("config.reloaded") == 0);
    CHECK(in_force.server.limits.max_connections == limits{}.max_connections);
    test::raw_client client{s.address()};
    CHECK(client.upgrade().status == 101);
  }

  TEST_CASE("the internal listener keeps a token as long as other machines can reach it, whatever "
            "address it is to have next") {
    auto in_force = on_free_ports();
    in_force.server.internal = "0.0.0.0:0";
    in_force.server.internal_token = "s3cret";
    server s{in_force.server};
    test::recording_log lines;
    const auto status = [&](std::string_view fields) {
      return test::request(s.internal_address(), "GET", "/debug/tree", {}, fields).status;
    };
    auto wanted = in_force;
    wanted.server.internal_token.clear();
    wanted.server.limits.max_connections = 1;
    for (const auto* next : {"127.0.0.1:0", "", "0.0.0.0:0"}) {
      CAPTURE(next);
      wanted.server.internal = next;
      reload(
          s, in_force, [&] { return wanted; }, lines);
      CHECK_THROWS_AS(s.reload(wanted.server), std::invalid_argument);
      CHECK(status("") == 401);
      CHECK(status("Authorization: Bearer s3cret\r\n") == 200);
    }
    CHECK(lines.count("config.reload_failed") == 3);
    CHECK(lines.count("config.reload_failed", "what=internal_token: the internal listener stays at "
                                              "\"0.0.0.0:0\" until a restart") == 2);
    CHECK(lines.count("config.reloaded") == 0);
    CHECK(in_force.server.limits.max_connections == limits{}.max_connections);

    wanted.server.internal = "127.0.0.1:0";
    wanted.server.internal_token = "other";
    reload(
        s, in_force, [&] { return wanted; }, lines);
    CHECK(lines.count("config.reloaded", "needs_restart=internal.address") == 1);
    CHECK(test::eventually(
        [&] { return status("Authorization: Bearer other\r\n") == 200 && status("") == 401; }));
  }

  TEST_CASE("limits on clients do not bind the internal listener, from the start or reloaded, and "
            "what comes there is not counted as clients'") {
    auto in_force = on_free_ports();
    const limits tight{.max_header_size = 256,
                       .max_header_count = 8,
                       .max_connections = 1,
                       .max_connections_per_address = 1,
                       .max_accepts_per_second = 2};
    in_force.server.limits = tight;
    server s{in_force.server};
    test::raw_client client{s.address()};
    REQUIRE(client.upgrade().status == 101);
    const auto works = [&] {
      std::vector<test::raw_client> idle;
      for (int i = 0; i < 20; ++i) idle.emplace_back(s.internal_address());
      CHECK(test::request(s.internal_address(), "GET", "/ready").status == 200);
      const auto long_field = "X: " + std::string(1000, 'x') + "\r\n";
      const auto metrics = test::request(s.internal_address(), "GET", "/metrics", {}, long_field);
      CHECK(metrics.status == 200);
      for (const auto* limit : {"connections", "accept_rate", "header_limits"})
        CHECK(metrics.body.find(std::string{"fairlead_limit_hits_total{limit=\""} + limit +
                                "\"} 0\n") != std::string::npos);
    };
    works();
    test::recording_log lines;
    auto wanted = in_force;
    wanted.server.limits.handshake_timeout = std::chrono::milliseconds{1};
    reload(
        s, in_force, [&] { return wanted; }, lines);
    works();
  }

  TEST_CASE("the key of tokens is read again; one that is bad leaves all as it was") {
    using test::keys_of, test::other_keys_of, test::token;
    const auto algorithm = jwt_algorithm::es256;
    const test::temporary_folder folder;
    const auto write = [file = folder.file("k.pem")](const std::string& key) {
      std::ofstream{file} << key;
    };
    write(keys_of(algorithm).verifies);
    auto in_force = on_free_ports();
    in_force.server.jwt = {.algorithm = algorithm, .key_file = folder.file("k.pem")};
    server s{in_force.server};
    test::recording_log lines;
    const auto status_with = [&](const test::key_pair& keys) {
      test::raw_client client{s.address()};
      const auto bearer = token(algorithm, R"({"sub":"ann","exp":4000000000})", keys);
      client.send(
          test::raw_client::upgrade_request("/ws", "Authorization: Bearer " + bearer + "\r\n"));
      return client.receive_reply().status;
    };
    CHECK(status_with(keys_of(algorithm)) == 101);
    CHECK(status_with(other_keys_of(algorithm)) == 401);
    const read_again read = [&] { return in_force; };
    write(keys_of(algorithm).signs);
    reload(s, in_force, read, lines);
    CHECK(lines.count("config.reload_failed", "a private key; ES256 takes the public one") == 1);
    CHECK(lines.count("config.reloaded") == 0);
    CHECK(status_with(keys_of(algorithm)) == 101);
    write(other_keys_of(algorithm).verifies);
    reload(s, in_force, read, lines);
    CHECK(lines.count("config.reloaded") == 1);
    CHECK(status_with(keys_of(algorithm)) == 401);
    CHECK(status_with(other_keys_of(algorithm)) == 101);
  }

  TEST_CASE("a server that was not started has nothing to reload, nor has one without tokens") {
    server without{on_free_ports().server};
    CHECK_THROWS_AS(without.reload_jwt(), std::logic_error);
    server s;
    CHECK_THROWS_AS(s.reload_jwt(), std::logic_error);
    CHECK_THROWS_AS(s.reload({}), std::logic_error);
  }
}

}  // namespace fairlead::service
