#include <set>
#include <sstream>

#include <doctest/doctest.h>

#include "service/metrics.hpp"

namespace fairlead::service {
namespace {

using namespace std::chrono_literals;
using protocol::limit_hit;

actors::loop_snapshot some_loop() {
  actors::loop_snapshot loop;
  loop.node.by_state = {1, 0, 20, 3, 0, 0};
  loop.node.mailbox = 2;
  loop.node.loop_lag = 1500us;
  loop.counts.tally.opened = 30;
  loop.counts.tally
      .ended[protocol::key_of({close_code::internal_error, "", initiator::error, false})] = 4;
  loop.counts.tally.closing.add(30ms);
  loop.counts.totals.messages_in = 100;
  loop.counts.totals.outcomes[static_cast<std::size_t>(send_result::written)] = 50;
  loop.counts.queued_bytes = 4096;
  return loop;
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

session_kinds some_types() {
  auto run = std::make_shared<actors::registered_type>();
  run->name = "run";
  auto& counts = run->counts;
  counts.by_state[static_cast<std::size_t>(session_state::attached)] = 3;
  counts.spawned = 5;
  counts.ended[static_cast<std::size_t>(session_ender::owner)] = 2;
  counts.attaches[static_cast<std::size_t>(actors::attach_outcome::gap)] = 1;
  counts.refused[static_cast<std::size_t>(emit_result::overflow)] = 4;
  return {run};
}

}  // namespace

TEST_SUITE("service/metrics") {
  TEST_CASE("figures of all loops are added up, with names and labels by Prometheus' conventions") {
    metrics_page page;
    protocol::limit_hits hits;
    hits.add(limit_hit::overflow, 7);
    upgrade_refusals refusals;
    refusals.add(upgrade_refusal::token_expired);
    const auto text =
        page.render({.supervisor = {}, .loops = {some_loop(), some_loop()}},
                    {.ready = true, .sockets = 48, .compressed = 9, .compression_spared = 4}, hits,
                    refusals, {}, {});
    CAPTURE(text);
    CHECK(has_line(text, R"(fairlead_connections{state="open"} 40)"));
    CHECK(has_line(text, "fairlead_connections_opened_total 60"));
    CHECK(has_line(
        text,
        R"(fairlead_connections_closed_total{initiator="error",code="1011",severity="error"} 8)"));
    CHECK(has_line(text, "fairlead_messages_received_total 200"));
    CHECK(has_line(text, R"(fairlead_messages_sent_total{outcome="written"} 100)"));
    CHECK(has_line(text, R"(fairlead_messages_sent_total{outcome="expired"} 0)"));
    CHECK(has_line(text, "fairlead_compressed_messages_total 9"));
    CHECK(has_line(text, "fairlead_compression_spared_messages_total 4"));
    CHECK(has_line(text, "fairlead_queued_bytes 8192"));
    CHECK(has_line(text, R"(fairlead_mailbox_messages{actor="roster"} 4)"));
    CHECK(has_line(text, R"(fairlead_close_duration_seconds_bucket{le="0.025"} 0)"));
    CHECK(has_line(text, R"(fairlead_close_duration_seconds_bucket{le="0.05"} 2)"));
    CHECK(has_line(text, R"(fairlead_close_duration_seconds_bucket{le="+Inf"} 2)"));
    CHECK(has_line(text, "fairlead_close_duration_seconds_sum 0.06"));
    CHECK(has_line(text, R"(fairlead_loop_lag_seconds{loop="1"} 0.0015)"));
    CHECK(has_line(text, R"(fairlead_limit_hits_total{limit="overflow"} 7)"));
    CHECK(has_line(text, R"(fairlead_limit_hits_total{limit="origin"} 0)"));
    CHECK(has_line(text, R"(fairlead_upgrades_refused_total{reason="token_expired"} 1)"));
    CHECK(has_line(text, R"(fairlead_upgrades_refused_total{reason="hook"} 0)"));
    CHECK(has_line(text, "fairlead_ready 1"));
    CHECK(has_line(text, "fairlead_sockets 48"));
    CHECK(text.find("fairlead_build_info{version=") != std::string::npos);
  }

  TEST_CASE("sessions are counted by type; nothing is said of them where no type is registered") {
    metrics_page page;
    CHECK(page.render({}, {}, {}, {}, {}, {}).find("fairlead_session") == std::string::npos);
    const auto text = page.render({}, {.stream_bytes = 700, .max_total_stream_bytes = 1'000}, {},
                                  {}, {}, some_types());
    CAPTURE(text);
    CHECK(has_line(text, R"(fairlead_sessions{type="run",state="attached"} 3)"));
    CHECK(has_line(text, R"(fairlead_sessions{type="run",state="detached"} 0)"));
    CHECK(text.find(R"(state="ended")") == std::string::npos);
    CHECK(has_line(text, R"(fairlead_sessions_spawned_total{type="run"} 5)"));
    CHECK(has_line(text, R"(fairlead_sessions_ended_total{type="run",by="owner"} 2)"));
    CHECK(has_line(text, R"(fairlead_session_attaches_total{type="run",result="gap"} 1)"));
    CHECK(has_line(text, "# TYPE fairlead_session_kept_bytes gauge"));
    CHECK(has_line(text, "fairlead_session_kept_bytes 700"));
    CHECK(has_line(text, "fairlead_session_kept_max_bytes 1000"));
    CHECK(
        has_line(text, R"(fairlead_session_events_refused_total{type="run",reason="overflow"} 4)"));
  }

  TEST_CASE("other processes are counted where they can connect, and only there") {
    metrics_page page;
    CHECK(page.render({}, {}, {}, {}, {}, {}).find("fairlead_actor") == std::string::npos);
    const actors::gateway_counts gateway{
        .peers = 2, .accepted = 5, .refused = 1, .cut = 3, .swallowed = 4, .requests = 60};
    const auto text = page.render({}, {.gateway = gateway}, {}, {}, {}, {});
    CAPTURE(text);
    CHECK(has_line(text, "fairlead_actor_peers 2"));
    CHECK(has_line(text, "fairlead_actor_peers_accepted_total 5"));
    CHECK(has_line(text, "fairlead_actor_peers_refused_total 1"));
    CHECK(has_line(text, "fairlead_actor_peers_cut_total 3"));
    CHECK(has_line(text, "fairlead_actor_messages_swallowed_total 4"));
    CHECK(has_line(text, "fairlead_actor_requests_total 60"));
  }

  TEST_CASE("every family has help and a type, once; counters end in _total and others do not") {
    metrics_page page;
    const auto text = page.render(
        {.supervisor = {}, .loops = {some_loop()}}, {.gateway = actors::gateway_counts{}}, {}, {},
        {.cpu_seconds = 1, .started_at = 1, .resident_bytes = 1, .max_descriptors = 1},
        some_types());
    std::set<std::string> families;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("# TYPE ")) continue;
      std::istringstream words{line.substr(7)};
      std::string name, type;
      words >> name >> type;
      CAPTURE(name);
      CHECK(families.insert(name).second);
      CHECK(text.find("# HELP " + name + " ") != std::string::npos);
      CHECK(name.ends_with("_total") == (type == "counter"));
    }
    CHECK(families.size() == 46);
  }

  TEST_CASE("a loop that does not answer keeps its last figures: no counter goes back") {
    metrics_page page;
    const auto before =
        page.render({.supervisor = {}, .loops = {some_loop(), some_loop()}}, {}, {}, {}, {}, {});
    CHECK(has_line(before, "fairlead_connections_opened_total 60"));
    actors::loop_snapshot silent;
    silent.node.answered = false;
    silent.node.loop_lag = 1s;
    const auto text =
        page.render({.supervisor = {}, .loops = {some_loop(), silent}}, {}, {}, {}, {}, {});
    CHECK(has_line(text, "fairlead_connections_opened_total 60"));
    CHECK(has_line(text, R"(fairlead_loop_answered{loop="0"} 1)"));
    CHECK(has_line(text, R"(fairlead_loop_answered{loop="1"} 0)"));
    CHECK(has_line(text, R"(fairlead_loop_lag_seconds{loop="1"} 1)"));
  }

  TEST_CASE("the process tells what it uses") {
    const auto now = read_process_figures();
    CHECK(now.resident_bytes > 1'000'000);
    CHECK(now.cpu_seconds > 0);
    CHECK(now.max_descriptors > 0);
  }
}

}  // namespace fairlead::service
