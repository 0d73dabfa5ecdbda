#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <fairlead/jwt.hpp>

#include "tests/support/certificates.hpp"

/// JSON Web Tokens made by OpenSSL, good ones and bad ones: nothing of the server's own code or library is in them.
namespace fairlead::test {

/// HMAC: the secret twice. Otherwise PEM.
struct key_pair {
  std::string signs, verifies;
};

inline std::string base64url(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(bytes.data()),
                                static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(n));
  while (out.ends_with('=')) out.pop_back();
  for (auto& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

struct algorithm_facts {
  const char* name;
  const EVP_MD* hash;
  char family;        // H, R, E
  const char* curve;  // of E
  std::size_t half;   // of E: bytes of each of the two numbers
};
inline algorithm_facts facts_of(jwt_algorithm a) {
  using enum jwt_algorithm;
  switch (a) {
  case hs256: return {"HS256", EVP_sha256(), 'H', "", 0};
  case hs384: return {"HS384", EVP_sha384(), 'H', "", 0};
  case hs512: return {"HS512", EVP_sha512(), 'H', "", 0};
  case rs256: return {"RS256", EVP_sha256(), 'R', "", 0};
  case rs384: return {"RS384", EVP_sha384(), 'R', "", 0};
  case rs512: return {"RS512", EVP_sha512(), 'R', "", 0};
  case es256: return {"ES256", EVP_sha256(), 'E', "P-256", 32};
  case es384: return {"ES384", EVP_sha384(), 'E', "P-384", 48};
  case es512: return {"ES512", EVP_sha512(), 'E', "P-521", 66};
  }
  throw std::logic_error{"no algorithm"};
}

using bio = std::unique_ptr<BIO, freed_by<&BIO_free>>;
inline std::string bytes_in(BIO* memory) {
  char* at = nullptr;
  const auto n = BIO_get_mem_data(memory, &at);
  return {at, static_cast<std::size_t>(n)};
}
inline key_pair pem_of(EVP_PKEY* key) {
  const bio secret{BIO_new(BIO_s_mem())}, open{BIO_new(BIO_s_mem())};
  if (PEM_write_bio_PrivateKey(secret.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_PUBKEY(open.get(), key) != 1)
    throw std::runtime_error{"cannot write a key"};
  return {bytes_in(secret.get()), bytes_in(open.get())};
}

inline key_pair make_keys(jwt_algorithm a, char secret) {
  const auto facts = facts_of(a);
  if (facts.family == 'H') return {std::string(64, secret), std::string(64, secret)};
  const evp_key key{facts.family == 'R' ? EVP_RSA_gen(2048U) : EVP_EC_gen(facts.curve)};
  if (!key) throw std::runtime_error{"cannot make a key"};
  return pem_of(key.get());
}
/// The same ones each time: to make an RSA key takes a while. One pair serves the three RS algorithms.
inline const key_pair& keys_of(jwt_algorithm a, bool other = false) {
  static const auto all = [] {
    std::array<std::array<key_pair, 9>, 2> made;
    for (std::size_t which = 0; which < 2; ++which)
      for (std::size_t i = 0; i < 9; ++i)
        made[which][i] = i == 4 || i == 5
                             ? made[which][3]
                             : make_keys(static_cast<jwt_algorithm>(i), which == 0 ? 's' : 'o');
    return made;
  }();
  return all[other ? 1 : 0][static_cast<std::size_t>(a)];
}
inline const key_pair& other_keys_of(jwt_algorithm a) { return keys_of(a, true); }

inline std::string small_rsa_key() {
  const evp_key key{EVP_RSA_gen(1024U)};
  return pem_of(key.get()).verifies;
}

/// RFC 7518 3.4: two numbers of fixed size, where OpenSSL has DER.
inline std::string plain_ecdsa(const std::string& der, std::size_t half) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const std::unique_ptr<ECDSA_SIG, freed_by<&ECDSA_SIG_free>> parts{
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()))};
  std::string out(2 * half, '\0');
  auto* const to = reinterpret_cast<unsigned char*>(out.data());
  if (!parts || BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), to, static_cast<int>(half)) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), to + half, static_cast<int>(half)) < 0)
    throw std::runtime_error{"no ECDSA signature"};
  return out;
}

inline std::string signature(const std::string& what, jwt_algorithm a, const std::string& by) {
  const auto facts = facts_of(a);
  const auto* const bytes = reinterpret_cast<const unsigned char*>(what.data());
  if (facts.family == 'H') {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned n = 0;
    HMAC(facts.hash, by.data(), static_cast<int>(by.size()), bytes, what.size(), out.data(), &n);
    return {reinterpret_cast<const char*>(out.data()), n};
  }
  const bio in{BIO_new_mem_buf(by.data(), static_cast<int>(by.size()))};
  const evp_key key{PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr)};
  const std::unique_ptr<EVP_MD_CTX, freed_by<&EVP_MD_CTX_free>> context{EVP_MD_CTX_new()};
  std::size_t n = 0;
  if (!key || EVP_DigestSignInit(context.get(), nullptr, facts.hash, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &n, bytes, what.size()) != 1)
    throw std::runtime_error{"cannot sign"};
  std::string out(n, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &n, bytes,
                     what.size()) != 1)
    throw std::runtime_error{"cannot sign"};
  out.resize(n);
  return facts.family == 'E' ? plain_ecdsa(out, facts.half) : out;
}

inline std::string token_with_head(const std::string& head, jwt_algorithm a,
                                   const std::string& claims, const key_pair& by) {
  const auto what = base64url(head) + '.' + base64url(claims);
  return what + '.' + base64url(signature(what, a, by.signs));
}
inline std::string token_with_head(const std::string& head, jwt_algorithm a,
                                   const std::string& claims) {
  return token_with_head(head, a, claims, keys_of(a));
}
inline std::string token(jwt_algorithm a, const std::string& claims, const key_pair& by) {
  return token_with_head(std::string{R"({"alg":")"} + facts_of(a).name + R"(","typ":"JWT"})", a,
                         claims, by);
}
inline std::string token(jwt_algorithm a, const std::string& claims) {
  return token(a, claims, keys_of(a));
}

}  // namespace fairlead::test
