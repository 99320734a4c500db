#include "engine/base64.hpp"

#include <openssl/evp.h>

namespace jirapool::detail {

void append_base64(std::string& out, std::string_view in) {
    auto const begin = out.size();
    out.resize(begin + 4 * ((in.size() + 2) / 3) + 1);  // EVP_EncodeBlock ends with a NUL
    auto const n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data() + begin),
                                   reinterpret_cast<unsigned char const*>(in.data()), static_cast<int>(in.size()));
    out.resize(begin + static_cast<std::size_t>(n));
}

}  // namespace jirapool::detail
