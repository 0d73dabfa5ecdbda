#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fairlead/compression.hpp>
#include <fairlead/limits.hpp>
#include <fairlead/log.hpp>
#include <fairlead/server.hpp>

#include "net/loop.hpp"
#include "protocol/limit_hit.hpp"
#include "protocol/live_limits.hpp"
#include "protocol/ports.hpp"

namespace fairlead::net {

/// A request that is not an upgrade, whole, within the limits. Valid during the call only, unless copied.
struct http_request {
  std::string method;  ///< "GET"
  std::string path;    ///< percent-decoded
  std::string query;   ///< as sent, without the `?`
  std::string body;
  std::string peer;
  std::vector<std::pair<std::string, std::string>> headers;
  [[nodiscard]] std::string_view
  header(std::string_view name) const noexcept;  ///< compared without case
};

struct http_response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>>
      headers;  ///< beside Content-Type, Content-Length, Server
};

/// Sends the response; any thread, at most once; if it is dropped uncalled the client gets a 500.
using respond = std::function<void(http_response)>;

/// Why nobody waits for the answer to an upgrade request any more.
enum class wait_end : std::uint8_t {
  timeout,      ///< `limits::admission_timeout` has passed
  client_left,  ///< it has reset or finished
  stopping,     ///< the listener accepts no one any more
};

/// What a service can do with an upgrade request beside refusing it. Valid during the call that it is given to, on that
/// loop's thread.
class upgrade_turn {
 public:
  /// The link, once: `link::open` answers the request, with this subprotocol if it is not empty (RFC 6455 4.2.2).
  virtual std::shared_ptr<protocol::link> take(std::string_view subprotocol = {}) = 0;

  /// What is done when the request is gone on with: as `http_service::upgrade`, but it cannot wait again.
  using finish = std::function<std::optional<http_response>(upgrade_turn&)>;
  /// Goes on, on the request's loop; any thread, at most once. Does nothing if nobody waits any more; if it is dropped
  /// uncalled the client gets a 500.
  using resume = std::function<void(finish)>;
  /// What to tell the client at the end of the wait, if there is somebody to tell. Called on the loop, at most once, and let
  /// go of when the wait is over, however it ends.
  using give_up = std::function<http_response(wait_end)>;
  /// Makes the request wait, at most for `limits::admission_timeout`. What the client sends meanwhile is left to the
  /// kernel; that it leaves is noticed.
  [[nodiscard]] virtual resume wait(give_up) = 0;

 protected:
  ~upgrade_turn() = default;
};

/// What a listener serves. Called on the loop that accepted the socket, on several loops at once.
class http_service {
 public:
  virtual ~http_service() = default;
  virtual void handle(const http_request&, respond) = 0;
  /// A well-formed WebSocket upgrade request, valid during the call only. Either answers it with an HTTP response (a
  /// refusal), or takes the link, or makes it wait, and returns nothing. Loop `loop` is the caller's.
  virtual std::optional<http_response> upgrade(std::size_t loop, const upgrade_request&,
                                               upgrade_turn&) = 0;
};

struct listener_options {
  std::string address;  ///< `host:port`, `[::1]:port`; port 0 picks one, the same for all loops
  fairlead::limits limits;
  std::size_t max_body = 1024 * 1024;  ///< of a request that is not an upgrade; past it 413
  std::shared_ptr<log> logger;         ///< null: silent
  std::shared_ptr<protocol::limit_hits> hits = {};  ///< null: counted for nobody
  std::shared_ptr<class tls_context> tls = {};      ///< null: none
  compression_options compression = {};
  /// So many sockets past the limit are still told so; what comes on top of them is closed unheard.
  std::size_t refusals_at_once = 256;
  std::shared_ptr<struct deflate_counts> compressed = {};  ///< null: counted for nobody
};

/// Accepts sockets on every loop that it is given (SO_REUSEPORT, one each) and speaks HTTP/1.1 on them.
class listener {
 public:
  /// Binds and listens: who comes now waits in the kernel until `accept`. Throws std::system_error that names the address; a
  /// port that another process listens on is an error even where SO_REUSEPORT would share it.
  [[nodiscard]] static std::unique_ptr<listener>
      start(listener_options, std::vector<std::shared_ptr<loop>>, std::shared_ptr<http_service>);
  virtual ~listener() = default;                          ///< stop() must have been called
  [[nodiscard]] virtual std::string address() const = 0;  ///< with the port that was picked
  /// Begins to accept, once whatever the service needs is there. Once.
  virtual void accept() = 0;
  /// Stops accepting, ends idle HTTP connections; links live on. Idempotent, any thread but a loop's; returns when done.
  virtual void stop_accepting() = 0;
  /// The same without waiting, also from a loop.
  virtual void begin_stop_accepting() = 0;
  /// Drops every socket that is left: HTTP, lingering, links. Returns when no descriptor of this listener is open.
  virtual void stop() = 0;
  /// In force from the next request and connection on; the times by which links watch their peers at once. Any thread.
  virtual void set_limits(const fairlead::limits&) = 0;
  /// Sockets open now, HTTP and WebSocket and lingering. Any thread.
  [[nodiscard]] virtual std::size_t sockets() const noexcept = 0;
};

}  // namespace fairlead::net
