#include "net/tls_context.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace fairlead::net {
namespace {

/// The first thing that OpenSSL complained of: what comes behind it are its callers.
std::string complaint() {
  const auto first = ERR_get_error();
  ERR_clear_error();
  const char* const reason = ERR_reason_error_string(first);
  return reason ? reason : "unknown error";
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("TLS: " + what); }

std::string quoted(const std::string& file) { return '"' + file + '"'; }

/// Says why a file cannot be opened, which OpenSSL says in a roundabout way.
void must_open(const char* what, const std::string& file) {
  std::FILE* const opened = std::fopen(file.c_str(), "re");
  if (!opened)
    fail(std::string("cannot read the ") + what + " file " + quoted(file) + ": " +
         std::generic_category().message(errno));
  std::fclose(opened);
}

/// Nobody is there to be asked for one.
int no_passphrase(char*, int, int, void*) { return -1; }

void use_certificate(SSL_CTX* context, const std::string& file) {
  must_open("certificate", file);
  if (SSL_CTX_use_certificate_chain_file(context, file.c_str()) != 1)
    fail(quoted(file) + " has no usable certificate in PEM: " + complaint());
}

void use_key(SSL_CTX* context, const tls_options& o) {
  must_open("key", o.key);
  // A key of the same kind that does not match is found out here, one of another kind below.
  if (SSL_CTX_use_PrivateKey_file(context, o.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const auto last = ERR_GET_REASON(ERR_peek_last_error());
    const auto why = complaint();
    if (last == X509_R_KEY_VALUES_MISMATCH || last == X509_R_KEY_TYPE_MISMATCH)
      fail("the key in " + quoted(o.key) + " does not belong to the certificate in " +
           quoted(o.certificate));
    fail(quoted(o.key) + " has no usable private key in PEM without a passphrase: " + why);
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    fail("the key in " + quoted(o.key) + " does not belong to the certificate in " +
         quoted(o.certificate));
  }
}

void ask_for_certificates(SSL_CTX* context, const std::string& file) {
  must_open("client CA", file);
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(file.c_str());
  if (!names || SSL_CTX_load_verify_file(context, file.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    fail(quoted(file) + " has no usable certificate in PEM: " + complaint());
  }
  SSL_CTX_set_client_CA_list(context, names);  // owns them
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

/// HTTP/1.1 is all that is spoken here (RFC 7301 3.2).
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  static constexpr std::array<unsigned char, 9> ours{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  const int found =
      SSL_select_next_proto(&chosen, out_size, ours.data(), ours.size(), offered, offered_size);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::string text_of(const ASN1_TIME* time) {
  std::tm t{};
  std::array<char, 32> text{};
  if (ASN1_TIME_to_tm(time, &t) != 1) return "unknown";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &t)};
}

}  // namespace

tls_context::tls_context(tls_options options, std::shared_ptr<log> logger)
    : options_(std::move(options)), logger_(std::move(logger)), current_(load()) {
  tell_of(current_);
}

tls_context::~tls_context() = default;

void tls_context::reload() {
  auto fresh = load();
  tell_of(fresh);
  const std::lock_guard lock(mutex_);
  current_.swap(fresh);
}

std::unique_ptr<tls_stream> tls_context::start(watched& on) {
  const handle used = [this] {
    const std::lock_guard lock(mutex_);
    return current_;
  }();
  return std::make_unique<tls_stream>(used.get(), on);
}

auto tls_context::load() const -> handle {
  ERR_clear_error();
  const handle made(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (!made) throw std::bad_alloc();
  SSL_CTX* const context = made.get();
  SSL_CTX_set_min_proto_version(
      context, options_.min_version == tls_version::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // An idle connection holds no buffers, and a record is read by one call.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  // Clients resume by tickets, which cost the server nothing to keep.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  static constexpr std::array<unsigned char, 8> name{'f', 'a', 'i', 'r', 'l', 'e', 'a', 'd'};
  SSL_CTX_set_session_id_context(context, name.data(), name.size());
  SSL_CTX_set_alpn_select_cb(context, &choose_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(context, &no_passphrase);
  use_certificate(context, options_.certificate);
  use_key(context, options_);
  if (!options_.client_ca.empty()) ask_for_certificates(context, options_.client_ca);
  return made;
}

void tls_context::tell_of(const handle& made) const {
  if (!logger_) return;
  const X509* const shown = SSL_CTX_get0_certificate(made.get());
  const bool too_late = X509_cmp_current_time(X509_get0_notAfter(shown)) < 0;
  const bool too_early = X509_cmp_current_time(X509_get0_notBefore(shown)) > 0;
  const auto from = text_of(X509_get0_notBefore(shown));
  const auto until = text_of(X509_get0_notAfter(shown));
  (*logger_)(too_late || too_early ? severity::warning : severity::info,
             too_late    ? "tls.certificate_expired"
             : too_early ? "tls.certificate_not_valid_yet"
                         : "tls.certificate_loaded",
             {{"file", options_.certificate}, {"from", from}, {"until", until}});
}

}  // namespace fairlead::net
