#include "service/token_key.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "service/text.hpp"
#include "service/token.hpp"

namespace fairlead::service {
namespace {

constexpr std::size_t most_key_bytes = 64 * 1024;
constexpr int least_rsa_bits = 2048;

template <auto Free>
struct freed_by {
  void operator()(auto* p) const noexcept { Free(p); }
};
using memory_bio = std::unique_ptr<BIO, freed_by<&BIO_free>>;
using public_key = std::unique_ptr<EVP_PKEY, freed_by<&EVP_PKEY_free>>;

/// What the key has to be.
struct requirement {
  int kind;                  // EVP_PKEY_...
  std::size_t secret_bytes;  // HMAC: at least
  const char* curve;         // EC: OpenSSL's name
};

requirement of(jwt_algorithm algorithm) {
  switch (algorithm) {
  case jwt_algorithm::hs256: return {EVP_PKEY_HMAC, 32, ""};
  case jwt_algorithm::hs384: return {EVP_PKEY_HMAC, 48, ""};
  case jwt_algorithm::hs512: return {EVP_PKEY_HMAC, 64, ""};
  case jwt_algorithm::rs256:
  case jwt_algorithm::rs384:
  case jwt_algorithm::rs512: return {EVP_PKEY_RSA, 0, ""};
  case jwt_algorithm::es256: return {EVP_PKEY_EC, 0, "prime256v1"};
  case jwt_algorithm::es384: return {EVP_PKEY_EC, 0, "secp384r1"};
  case jwt_algorithm::es512: return {EVP_PKEY_EC, 0, "secp521r1"};
  }
  throw std::logic_error{"an algorithm without a kind of key"};
}

/// Complains of a key without showing it.
class complaint {
 public:
  explicit complaint(const jwt_options& o)
      : where_(o.key_file.empty() ? "jwt.key" : "jwt.key_file: " + in_quotes(o.key_file)) {}
  [[noreturn]] void operator()(std::string_view what) const {
    throw std::runtime_error{fmt::format("{}: {}", where_, what)};
  }

 private:
  std::string where_;
};

std::string read_key(const jwt_options& o, const complaint& complain) {
  if (o.key_file.empty()) return o.key;
  errno = 0;
  std::ifstream file{o.key_file, std::ios::binary};
  std::string bytes{std::istreambuf_iterator<char>{file}, {}};
  if (!file) complain(fmt::format("cannot be read: {}", std::strerror(errno != 0 ? errno : EIO)));
  if (bytes.size() > most_key_bytes) complain("too large for a key");
  return bytes;
}

/// A secret that somebody wrote with an editor ends with a line end that is not meant.
std::string secret_of(std::string bytes, std::size_t least, std::string_view algorithm,
                      const complaint& complain) {
  if (bytes.ends_with('\n')) bytes.pop_back();
  if (bytes.ends_with('\r')) bytes.pop_back();
  if (bytes.find("-----BEGIN ") != std::string::npos)
    complain(fmt::format("a PEM key; {} takes a secret of at least {} bytes", algorithm, least));
  if (bytes.size() < least)
    complain(fmt::format("a secret of {} bytes; {} takes at least {} (RFC 7518 3.2), such as those "
                         "of: openssl rand -hex {}",
                         bytes.size(), algorithm, least, least));
  return bytes;
}

/// Nobody is there to be asked for a passphrase.
int no_passphrase(char*, int, int, void*) { return -1; }

public_key parse_public_key(const std::string& pem, std::string_view algorithm,
                            const complaint& complain) {
  if (pem.find("PRIVATE KEY-----") != std::string::npos)
    complain(fmt::format("a private key; {} takes the public one, as of: openssl pkey -pubout",
                         algorithm));
  const memory_bio in{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  public_key key{PEM_read_bio_PUBKEY(in.get(), nullptr, &no_passphrase, nullptr)};
  ERR_clear_error();  // this thread's TLS looks at the same queue
  if (!key)
    complain(fmt::format("no public key in PEM (\"BEGIN PUBLIC KEY\"), which {} takes", algorithm));
  return key;
}

void check_public_key(const EVP_PKEY& key, const requirement& wanted, std::string_view algorithm,
                      const complaint& complain) {
  const bool rsa = wanted.kind == EVP_PKEY_RSA;
  if (EVP_PKEY_get_base_id(&key) != wanted.kind)
    complain(fmt::format("no {} key, which {} takes", rsa ? "RSA" : "EC", algorithm));
  if (rsa) {
    if (EVP_PKEY_get_bits(&key) < least_rsa_bits)
      complain(fmt::format("an RSA key of {} bits; give one of at least {} (RFC 7518 3.3)",
                           EVP_PKEY_get_bits(&key), least_rsa_bits));
    return;
  }
  std::array<char, 64> curve{};
  if (EVP_PKEY_get_group_name(&key, curve.data(), curve.size(), nullptr) != 1 ||
      std::string_view{curve.data()} != wanted.curve)
    complain(fmt::format("an EC key on the curve {}; {} takes one on {}", curve.data(), algorithm,
                         wanted.curve));
}

}  // namespace

std::string load_token_key(const jwt_options& o) {
  const complaint complain{o};
  const auto wanted = of(o.algorithm.value());
  const auto algorithm = to_string(*o.algorithm);
  auto bytes = read_key(o, complain);
  if (wanted.kind == EVP_PKEY_HMAC)
    return secret_of(std::move(bytes), wanted.secret_bytes, algorithm, complain);
  check_public_key(*parse_public_key(bytes, algorithm, complain), wanted, algorithm, complain);
  return bytes;
}

}  // namespace fairlead::service
