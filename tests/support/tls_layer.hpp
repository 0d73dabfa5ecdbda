#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/support/certificates.hpp"
#include "tests/support/raw_client.hpp"

namespace fairlead::test {

/// How a client speaks TLS.
struct tls_client_options {
  std::string ca_file = {};         ///< whom it trusts; empty: everybody
  std::string name = "localhost";   ///< whom it expects
  int version = 0;                  ///< TLS1_2_VERSION ..., 0: any
  const identity* shows = nullptr;  ///< its own certificate
  std::string protocols = {};       ///< ALPN, in its wire form
};

/// The client's side of TLS over a raw_client's bytes.
class tls_layer final : public byte_layer {
 public:
  explicit tls_layer(const tls_client_options& o) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX* const c = context_.get();
    if (o.version != 0) {
      SSL_CTX_set_min_proto_version(c, o.version);
      SSL_CTX_set_max_proto_version(c, o.version);
    }
    if (!o.ca_file.empty()) {
      SSL_CTX_load_verify_file(c, o.ca_file.c_str());
      SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
    }
    if (o.shows) {
      SSL_CTX_use_certificate(c, o.shows->certificate.get());
      SSL_CTX_use_PrivateKey(c, o.shows->key.get());
    }
    if (!o.protocols.empty())
      SSL_CTX_set_alpn_protos(c, reinterpret_cast<const unsigned char*>(o.protocols.data()),
                              static_cast<unsigned>(o.protocols.size()));
    ssl_.reset(SSL_new(c));
    SSL_set1_host(ssl_.get(), o.name.c_str());
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
  }

  std::string start() override {
    step();
    return outgoing();
  }
  [[nodiscard]] bool ready() const override { return SSL_is_init_finished(ssl_.get()) == 1; }

  std::string wrap(std::string_view plain) override {
    if (SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())) <= 0)
      throw std::runtime_error("SSL_write");
    return outgoing();
  }

  std::string unwrap(std::string_view raw, std::string& plain) override {
    BIO_write(SSL_get_rbio(ssl_.get()), raw.data(), static_cast<int>(raw.size()));
    if (!ready()) step();
    for (char buffer[16384]; ready();) {
      const int n = SSL_read(ssl_.get(), buffer, sizeof buffer);
      if (n > 0) {
        plain.append(buffer, static_cast<std::size_t>(n));
        continue;
      }
      const int why = SSL_get_error(ssl_.get(), n);
      goodbye_ = goodbye_ || why == SSL_ERROR_ZERO_RETURN;
      if (why == SSL_ERROR_SSL) fail();
      break;
    }
    return outgoing();
  }

  /// Whether the server has said that no more comes.
  [[nodiscard]] bool goodbye() const { return goodbye_; }
  [[nodiscard]] ssl_st* ssl() const { return ssl_.get(); }
  [[nodiscard]] std::string server_name() const {
    char name[64] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(ssl_.get())),
                              NID_commonName, name, sizeof name);
    return name;
  }
  std::string outgoing() override {
    char* bytes = nullptr;
    BIO* const out = SSL_get_wbio(ssl_.get());
    const long size = BIO_get_mem_data(out, &bytes);
    std::string all(bytes, static_cast<std::size_t>(size));
    BIO_reset(out);
    return all;
  }

 private:
  void step() {
    const int result = SSL_do_handshake(ssl_.get());
    if (result <= 0 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_SSL) fail();
  }
  [[noreturn]] static void fail() {
    const char* const reason = ERR_reason_error_string(ERR_get_error());
    ERR_clear_error();
    throw std::runtime_error(std::string("TLS: ") + (reason ? reason : "?"));
  }

  std::unique_ptr<SSL_CTX, freed_by<&SSL_CTX_free>> context_;
  std::unique_ptr<SSL, freed_by<&SSL_free>> ssl_;
  bool goodbye_ = false;
};

inline raw_client tls_client(const std::string& address, const tls_client_options& how = {},
                             int receive_buffer = 0) {
  return raw_client(address, receive_buffer, std::make_unique<tls_layer>(how));
}
inline tls_layer& tls_of(const raw_client& c) { return static_cast<tls_layer&>(*c.layer()); }

}  // namespace fairlead::test
