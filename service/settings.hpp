#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fairlead/log.hpp>
#include <fairlead/logging.hpp>
#include <fairlead/server.hpp>

#include "service/problem.hpp"

/// What the program can be told, by file or command line.
namespace fairlead::service {

/// What the program does with a message of a client's.
enum class plain_mode : std::uint8_t { broadcast, echo, off };

struct settings {
  server_options server{
      .listen = "127.0.0.1:8000", .internal = "127.0.0.1:8001", .session_types = {{"session", {}}}};
  plain_mode plain = plain_mode::broadcast;
  std::string
      user_header;  ///< the request header field that holds the user; empty: everyone is anonymous
  severity log_level = severity::info;
  log_format format = log_format::human;
};

/// What holds where nothing is said. Echo is for trying clients and conformance suites against, which send large messages,
/// in many small pieces, and much before they read: its limits are wider.
[[nodiscard]] settings default_settings(plain_mode);

/// What only the settings together can tell to be wrong, the server's options among them.
[[nodiscard]] problems check(const settings&);

[[nodiscard]] std::string_view to_string(plain_mode) noexcept;
[[nodiscard]] std::string_view to_string(log_format) noexcept;
[[nodiscard]] std::string_view to_string(tls_version) noexcept;

// Each sets one thing from text and returns what was wrong with it and what would be right; empty if nothing was.
[[nodiscard]] std::string set_listen(settings&, std::string_view);
[[nodiscard]] std::string set_internal(settings&,
                                       std::string_view);  ///< empty or `off`: no internal listener
[[nodiscard]] std::string set_actors(settings&, std::string_view);  ///< empty or `off`: no CAF node
[[nodiscard]] std::string set_actors_certificate(settings&, std::string_view file);
[[nodiscard]] std::string set_actors_key(settings&, std::string_view file);
[[nodiscard]] std::string set_actors_ca(settings&, std::string_view file);
[[nodiscard]] std::string set_token(settings&, std::string_view);
[[nodiscard]] std::string
set_token_file(settings&, const std::string& path);  ///< the file's first line; an empty path: none
[[nodiscard]] std::string set_path(settings&, std::string_view);
[[nodiscard]] std::string set_origins(settings&, std::vector<std::string>);
[[nodiscard]] std::string set_plain(settings&, std::string_view);
[[nodiscard]] std::string set_user_header(settings&, std::string_view);
/// Types without a behaviour, whose messages wait in inboxes; `off` alone, or nothing: none.
[[nodiscard]] std::string set_session_types(settings&, std::vector<std::string> names);
[[nodiscard]] std::string set_slow_consumers(settings&, std::string_view);
[[nodiscard]] std::string set_tls_certificate(settings&, std::string_view file);
[[nodiscard]] std::string set_tls_key(settings&, std::string_view file);
[[nodiscard]] std::string set_tls_client_ca(settings&, std::string_view file);
[[nodiscard]] std::string set_tls_min_version(settings&, std::string_view);
[[nodiscard]] std::string set_jwt_algorithm(settings&, std::string_view);  ///< empty: none
[[nodiscard]] std::string set_jwt_key_file(settings&, std::string_view file);
[[nodiscard]] std::string set_jwt_audience(settings&, std::string_view);
[[nodiscard]] std::string set_jwt_issuer(settings&, std::string_view);
[[nodiscard]] std::string set_jwt_user_claim(settings&, std::string_view);
[[nodiscard]] std::string set_jwt_metadata(settings&, std::vector<std::string> claims);
[[nodiscard]] std::string set_jwt_query_parameter(settings&, std::string_view);
[[nodiscard]] std::string set_compression(settings&, std::string_view);  ///< `on` or `off`
[[nodiscard]] std::string set_log_level(settings&, std::string_view);
[[nodiscard]] std::string set_log_format(settings&, std::string_view);
[[nodiscard]] std::string set_drain_timeout(settings&, std::string_view);
[[nodiscard]] std::string set_drain_grace(settings&, std::string_view);
[[nodiscard]] std::string set_drain_spread(settings&, std::string_view);
[[nodiscard]] std::string set_drain_rate(settings&, std::string_view);

}  // namespace fairlead::service
