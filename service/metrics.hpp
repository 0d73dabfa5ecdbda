#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/backbone.hpp"
#include "protocol/limit_hit.hpp"
#include "service/server_status.hpp"
#include "service/session_json.hpp"
#include "service/upgrade_refusals.hpp"

namespace fairlead::service {

/// What of the process is told beside the server. What the system does not tell is 0 and left out.
struct process_figures {
  double cpu_seconds = 0, started_at = 0;
  std::uint64_t resident_bytes = 0, max_descriptors = 0;
};
[[nodiscard]] process_figures read_process_figures();

/// Metrics as text in Prometheus' exposition format. One thread.
class metrics_page {
 public:
  /// A loop that did not answer is told with the figures of the last time that it did: counters never go back.
  [[nodiscard]] std::string render(const actors::metrics_snapshot&, const server_status&,
                                   const protocol::limit_hits&, const upgrade_refusals&,
                                   const process_figures&, const session_kinds&);
  static constexpr const char* content_type = "text/plain; version=0.0.4; charset=utf-8";

 private:
  std::vector<actors::loop_snapshot> last_;
};

}  // namespace fairlead::service
