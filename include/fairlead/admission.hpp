#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fairlead/connection.hpp>

/// Who comes in, and as whom. docs/admission.md has it with examples.
namespace fairlead {

/// In, as this user (empty: anonymous) ...
struct admit {
  std::string user = {};
  /// What else is to be known of it, in this order: `connection::metadata`, snapshots, /debug. At most
  /// `max_metadata_size` bytes, names and values together; with more the request gets 500.
  connection_metadata metadata = {};
  /// Until when. The connection is closed with 3000 (`expired`) `limits::expiry_grace` later.
  std::optional<std::chrono::system_clock::time_point> expires_at = {};
};
inline constexpr std::size_t max_metadata_size = 4096;

/// ... or out, with an HTTP status (4xx or 5xx) and a reason that the client may read.
struct refuse {
  unsigned status = 403;
  std::string reason = "refused";
};
using admission = std::variant<admit, refuse>;

/// A client's request to become a WebSocket, as an admission hook sees it. Where tokens are checked
/// (`server_options::jwt`) the token itself is not in it any more: it may be logged.
struct upgrade_request {
  std::string_view target;  ///< path and query, as sent
  std::string_view path;    ///< percent-encoded
  std::string_view query;   ///< without the `?`
  std::string_view peer;    ///< `address:port`
  /// With mutual TLS: the subject of the certificate that the client has shown ("CN=ann,O=Example", RFC 2253).
  std::string_view certificate;
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  /// What the client's token says, which was found good; null where no tokens are checked. The hook may refuse it all
  /// the same, or add to it: what it leaves empty in its `admit` is the token's, metadata of the same name is the hook's,
  /// and of two times to expire the earlier one holds.
  const admit* token = nullptr;
  /// The first header field of that name (compared without case), or an empty view.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

/// How a hook that takes its time answers: call it once, on any thread. Copies are the same answer, the first call is the
/// one that counts. When the last copy is gone without a call the client gets 500. It may outlive the client's patience
/// and the server: then it does nothing.
class admission_decision {
 public:
  /// For Fairlead: `decide` is called once, with null where nobody decided; any thread.
  explicit admission_decision(std::function<void(const admission*)> decide);

  void operator()(const admission&) const;

 private:
  struct state;
  std::shared_ptr<state> state_;
};

/// Decides at once; the request is valid during the call. Must not block.
using upgrade_hook = std::function<admission(const upgrade_request&)>;
/// Decides later, within `limits::admission_timeout`. Called on an event loop, and must not block it; the request may be
/// kept for as long as it is wanted.
using async_upgrade_hook =
    std::function<void(std::shared_ptr<const upgrade_request>, admission_decision)>;

}  // namespace fairlead
