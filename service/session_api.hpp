#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fairlead/log.hpp>

#include "actors/backbone.hpp"
#include "net/http.hpp"
#include "service/reply_desk.hpp"
#include "service/session_request.hpp"

namespace fairlead::service {

/// The part of the internal API about sessions: what a backend in any language does with them. The loop's thread only.
/// Refusals have a status of HTTP's that says the same: 404 no such session, 410 it has ended, 413 too large, 503 overflow.
class session_api {
 public:
  session_api(actors::backbone&, std::shared_ptr<reply_desk>, std::shared_ptr<log>,
              std::chrono::milliseconds snapshot_timeout,
              std::chrono::milliseconds outcome_timeout);

  void spawn(const net::http_request&, net::respond);
  void emit(const net::http_request&, net::respond);
  void end(const net::http_request&, net::respond);
  void issue_token(const net::http_request&, net::respond);
  void list(const net::http_request&, net::respond);
  /// The id is the path's last segment.
  void one(const net::http_request&, net::respond);
  /// The last but one.
  void inbox(const net::http_request&, net::respond);

 private:
  using digest = std::array<unsigned char, 32>;
  /// A spawn that had a key, so that the same request again is answered with the same session. Keeps neither the request, which
  /// may be large, nor the session, which may have ended.
  struct keyed {
    std::string key;
    digest body;
    std::string id;
    std::weak_ptr<const detail::session_core> made;
  };
  static constexpr std::size_t most_keyed = 1'024;

  [[nodiscard]] const keyed* find_keyed(const std::string& key) const;
  [[nodiscard]] static digest digest_of(std::string_view body);
  void spawned_before(const keyed&, net::respond) const;
  /// Says which of the two it is: none of that id, or it has ended.
  [[nodiscard]] net::http_response not_there(const std::string& id) const;

  actors::backbone& backbone_;
  std::shared_ptr<reply_desk> desk_;
  std::shared_ptr<log> logger_;
  const std::chrono::milliseconds snapshot_timeout_, outcome_timeout_;
  types_defaults types_;
  std::vector<keyed> keyed_;  // a ring
  std::size_t next_keyed_ = 0;
};

}  // namespace fairlead::service
