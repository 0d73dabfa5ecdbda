#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/// Certificates made for the moment, as files.
namespace fairlead::test {

/// A folder of this test's own, gone with it.
class temporary_folder {
 public:
  temporary_folder() {
    auto name = (std::filesystem::temp_directory_path() / "fairlead-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

template <auto Free>
struct freed_by {
  void operator()(auto* p) const noexcept { Free(p); }
};
using evp_key = std::unique_ptr<EVP_PKEY, freed_by<&EVP_PKEY_free>>;
using x509_certificate = std::unique_ptr<X509, freed_by<&X509_free>>;

/// A certificate and its key, which may sign others.
struct identity {
  evp_key key;
  x509_certificate certificate;
};

struct certificate_plan {
  std::string name = "localhost";                          ///< the subject's CN
  std::string alternative = "DNS:localhost,IP:127.0.0.1";  ///< for whom it speaks
  std::chrono::seconds from = std::chrono::hours{-1}, until = std::chrono::hours{24};
  bool may_sign = false;
};

inline identity make_identity(const certificate_plan& plan, const identity* signer = nullptr) {
  identity made{evp_key(EVP_EC_gen("P-256")), x509_certificate(X509_new())};
  X509* const x = made.certificate.get();
  static long serial = 1;
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x), static_cast<long>(plan.from.count()));
  X509_gmtime_adj(X509_getm_notAfter(x), static_cast<long>(plan.until.count()));
  X509_set_pubkey(x, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(plan.name.c_str()), -1, -1, 0);
  const X509* const by = signer ? signer->certificate.get() : x;
  X509_set_issuer_name(x, X509_get_subject_name(by));
  const auto add = [&](int what, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, freed_by<&X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()));
    if (!extension) throw std::runtime_error("X509V3_EXT_conf_nid: " + value);
    X509_add_ext(x, extension.get(), -1);
  };
  add(NID_basic_constraints, plan.may_sign ? "critical,CA:TRUE" : "CA:FALSE");
  if (!plan.alternative.empty()) add(NID_subject_alt_name, plan.alternative);
  if (X509_sign(x, (signer ? signer->key : made.key).get(), EVP_sha256()) == 0)
    throw std::runtime_error("X509_sign");
  return made;
}

inline void write_certificate(const std::string& file, const identity& who) {
  const std::unique_ptr<std::FILE, freed_by<&std::fclose>> out(std::fopen(file.c_str(), "w"));
  if (!out || PEM_write_X509(out.get(), who.certificate.get()) != 1)
    throw std::runtime_error("cannot write " + file);
}

inline void write_key(const std::string& file, const identity& who, std::string passphrase = {}) {
  const std::unique_ptr<std::FILE, freed_by<&std::fclose>> out(std::fopen(file.c_str(), "w"));
  auto* const secret = passphrase.empty() ? nullptr : passphrase.data();
  if (!out ||
      PEM_write_PKCS8PrivateKey(out.get(), who.key.get(), secret ? EVP_aes_128_cbc() : nullptr,
                                secret, static_cast<int>(passphrase.size()), nullptr, nullptr) != 1)
    throw std::runtime_error("cannot write " + file);
}

/// An authority and what it has signed for a server.
struct certified {
  temporary_folder folder;
  identity authority = make_identity({.name = "CA of " + folder.file(""),
                                      .alternative = {},
                                      .until = std::chrono::hours{48},
                                      .may_sign = true});
  std::string ca_file = folder.file("ca.pem"), certificate = folder.file("server.pem"),
              key = folder.file("server.key");

  explicit certified(const certificate_plan& server = {}) {
    write_certificate(ca_file, authority);
    replace(server);
  }
  /// Another certificate and key in the same files.
  void replace(const certificate_plan& server) {
    const auto made = make_identity(server, &authority);
    write_certificate(certificate, made);
    write_key(key, made);
  }
};

}  // namespace fairlead::test
