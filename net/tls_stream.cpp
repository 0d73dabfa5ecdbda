#include "net/tls_stream.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/socket_ops.hpp"

namespace fairlead::net {
namespace {

constexpr std::size_t record_size = SSL3_RT_MAX_PLAIN_LENGTH;
// A peer that asks for answers and reads none is not read either.
constexpr std::size_t most_unsent = 2 * record_size;

class openssl_category final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "tls"; }
  std::string message(int value) const override {
    const char* const reason = ERR_reason_error_string(static_cast<unsigned long>(value));
    return reason ? std::string("TLS: ") + reason : "TLS: unknown error";
  }
};

/// Where many small frames become one record. Used within one call.
thread_local std::array<char, record_size> record;

/// What is left to write of a row of buffers.
class remainder {
 public:
  explicit remainder(std::span<const asio::const_buffer> all) : rest_(all) { skip_empty(); }
  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

  /// The next record's bytes: where they lie if they fill it alone or are the last, else copied.
  [[nodiscard]] asio::const_buffer next() const noexcept {
    const asio::const_buffer first = rest_.front() + used_;
    if (rest_.size() == 1 || first.size() >= record_size)
      return {first.data(), std::min(first.size(), record_size)};
    std::size_t size = 0;
    std::size_t skip = used_;
    for (const auto& piece : rest_) {
      const asio::const_buffer from = piece + std::exchange(skip, 0);
      const std::size_t n = std::min(from.size(), record_size - size);
      if (n > 0) std::memcpy(record.data() + size, from.data(), n);
      if ((size += n) == record_size) break;
    }
    return {record.data(), size};
  }

  void consume(std::size_t n) noexcept {
    while (n > 0) {
      const std::size_t here = std::min(n, rest_.front().size() - used_);
      used_ += here;
      n -= here;
      skip_empty();
    }
  }

 private:
  void skip_empty() noexcept {
    while (!rest_.empty() && used_ == rest_.front().size()) {
      rest_ = rest_.subspan(1);
      used_ = 0;
    }
  }

  std::span<const asio::const_buffer> rest_;
  std::size_t used_ = 0;  // of the first
};

}  // namespace

const boost::system::error_category& tls_category() noexcept {
  static const openssl_category category;
  return category;
}

bool is_plain_http(const error_code& ec) noexcept {
  return ec.category() == tls_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == SSL_R_HTTP_REQUEST;
}

/// The socket as OpenSSL sees it. Its own socket BIO would raise SIGPIPE, and hide from the poller what was drained.
struct bio_calls {
  static tls_stream& stream_of(BIO* b) noexcept {
    return *static_cast<tls_stream*>(BIO_get_data(b));
  }

  static int read(BIO* b, char* out, int size) noexcept {
    auto& s = stream_of(b);
    BIO_clear_retry_flags(b);
    const std::size_t n =
        receive(s.on_, asio::buffer(out, static_cast<std::size_t>(size)), s.cause_);
    if (s.cause_ == asio::error::would_block) BIO_set_retry_read(b);
    return s.cause_ ? -1 : static_cast<int>(n);
  }

  static int write(BIO* b, const char* from, int size) noexcept {
    auto& s = stream_of(b);
    BIO_clear_retry_flags(b);
    s.send({from, static_cast<std::size_t>(size)});
    return s.cause_ ? -1 : size;
  }

  static long control(BIO*, int command, long, void*) noexcept {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static BIO_METHOD* make() {
    BIO_METHOD* const m =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fairlead socket");
    if (!m) throw std::bad_alloc();
    BIO_meth_set_read(m, &bio_calls::read);
    BIO_meth_set_write(m, &bio_calls::write);
    BIO_meth_set_ctrl(m, &bio_calls::control);
    return m;
  }
};

void tls_stream::free_ssl::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

tls_stream::tls_stream(ssl_ctx_st* context, watched& on) : on_(on), ssl_(SSL_new(context)) {
  static BIO_METHOD* const method = bio_calls::make();  // for the process's life
  BIO* const bio = ssl_ ? BIO_new(method) : nullptr;
  if (!bio) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);  // owns it
  SSL_set_accept_state(ssl_.get());
}

tls_stream::~tls_stream() = default;

/// Takes all of it.
void tls_stream::send(std::string_view bytes) noexcept {
  cause_ = {};
  if (unsent_.empty()) {
    const asio::const_buffer all(bytes.data(), bytes.size());
    bytes.remove_prefix(transmit(on_, std::span(&all, 1), cause_));
    if (cause_ && cause_ != asio::error::would_block) return;
    cause_ = {};
  }
  try {
    unsent_.append(bytes);
  } catch (const std::bad_alloc&) {
    cause_ = asio::error::no_memory;
  }
}

void tls_stream::flush(error_code& ec) noexcept {
  ec = {};
  while (!unsent_.empty() && !ec) {
    const asio::const_buffer all(unsent_.data(), unsent_.size());
    unsent_.erase(0, transmit(on_, std::span(&all, 1), ec));
  }
  if (unsent_.empty()) std::string().swap(unsent_);
}

std::size_t tls_stream::read(asio::mutable_buffer into, error_code& ec) noexcept {
  ec = {};
  if (into.size() == 0) return 0;
  if (!unsent_.empty()) flush(ec);
  if (ec && ec != asio::error::would_block) return 0;
  if (unsent_.size() > most_unsent) {
    on_.read_when_writable();
    return 0;
  }
  ec = {};
  ERR_clear_error();  // the thread's, in which another connection may have left something
  std::size_t n = 0;
  const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &n);
  if (result <= 0) ec = failure(result);
  if (SSL_has_pending(ssl_.get()) == 1 && !ec) on_.expect_more();
  if (!unsent_.empty()) on_.read_when_writable();  // TLS's own, such as the handshake's
  return n;
}

std::size_t tls_stream::write(std::span<const asio::const_buffer> from, error_code& ec) noexcept {
  flush(ec);
  if (ec) return 0;
  std::size_t written = std::exchange(begun_, 0);
  remainder rest(from);
  rest.consume(written);
  while (!rest.empty()) {
    const asio::const_buffer next = rest.next();
    ERR_clear_error();
    std::size_t n = 0;
    const int result = SSL_write_ex(ssl_.get(), next.data(), next.size(), &n);
    if (result <= 0) {
      ec = failure(result);
      break;
    }
    if (!unsent_.empty()) {
      begun_ = n;
      ec = asio::error::would_block;
      break;
    }
    written += n;
    rest.consume(n);
  }
  if (written > 0 && ec == asio::error::would_block) ec = {};
  return written;
}

error_code tls_stream::failure(int result) noexcept {
  switch (SSL_get_error(ssl_.get(), result)) {
  case SSL_ERROR_WANT_READ: return asio::error::would_block;
  case SSL_ERROR_ZERO_RETURN: return asio::error::eof;  // the peer said goodbye
  case SSL_ERROR_SYSCALL:  // the socket failed, or ended without a goodbye, which is no worse
    failed_ = true;
    return cause_ ? cause_ : error_code(asio::error::eof);
  default: failed_ = true; return {static_cast<int>(ERR_peek_error()), tls_category()};
  }
}

bool tls_stream::in_handshake() const noexcept { return SSL_is_init_finished(ssl_.get()) == 0; }

void tls_stream::say_goodbye() noexcept {
  // Before the handshake is done there is nobody to tell, after a failure nothing may be called.
  if (failed_ || in_handshake()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

const char* tls_stream::version() const noexcept { return SSL_get_version(ssl_.get()); }

std::string tls_stream::peer_name() const {
  X509* const shown = SSL_get0_peer_certificate(ssl_.get());
  if (!shown || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return {};
  const std::unique_ptr<BIO, void (*)(BIO*)> text(BIO_new(BIO_s_mem()),
                                                  [](BIO* b) { BIO_free(b); });
  if (!text) throw std::bad_alloc();
  X509_NAME_print_ex(text.get(), X509_get_subject_name(shown), 0, XN_FLAG_RFC2253);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace fairlead::net
