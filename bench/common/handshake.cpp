#include "bench/common/handshake.hpp"

#include <array>

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <strings.h>
#include <sys/resource.h>

namespace fairlead::bench {

std::optional<std::string_view> header_field(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    const auto end = head.find("\r\n");
    const auto line = head.substr(0, end);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        ::strncasecmp(line.data(), name.data(), name.size()) == 0) {
      auto value = line.substr(name.size() + 1);
      const auto first = value.find_first_not_of(" \t");
      if (first == std::string_view::npos) return std::string_view{};
      return value.substr(first, value.find_last_not_of(" \t") - first + 1);
    }
    if (end == std::string_view::npos) break;
    head.remove_prefix(end + 2);
  }
  return std::nullopt;
}

std::string base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends with a NUL
  const int size = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::string accept_key(std::string_view client_key) {
  std::string input(client_key);
  input += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  ::SHA1(reinterpret_cast<const unsigned char*>(input.data()), input.size(), digest.data());
  return base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

unsigned long raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace fairlead::bench
