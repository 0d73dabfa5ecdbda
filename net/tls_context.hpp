#pragma once

#include <memory>
#include <mutex>

#include <fairlead/log.hpp>
#include <fairlead/tls.hpp>

#include "net/tls_stream.hpp"

namespace fairlead::net {

/// The certificate that a listener shows and the rules by which it speaks TLS. Any thread.
class tls_context {
 public:
  /// Reads the files. Throws std::runtime_error that names the file and what is wrong with it. An expired certificate is
  /// only warned of: clients may know it and accept it, and no server is worse than that one.
  explicit tls_context(tls_options, std::shared_ptr<log> logger = {});
  ~tls_context();

  /// Reads the files again, for the sockets to come; those that are open keep what they have. Throws as the constructor
  /// does, and then the old certificate stays in use.
  void reload();

  /// TLS on an accepted socket. Throws std::bad_alloc.
  [[nodiscard]] std::unique_ptr<tls_stream> start(watched& on);

 private:
  using handle = std::shared_ptr<ssl_ctx_st>;
  [[nodiscard]] handle load() const;
  void tell_of(const handle&) const;

  const tls_options options_;
  const std::shared_ptr<log> logger_;
  std::mutex mutex_;  // guards what is below, for as long as it takes to copy it
  handle current_;
};

}  // namespace fairlead::net
