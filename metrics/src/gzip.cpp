#include "gzip.hpp"

#include <zlib.h>

#include <limits>

namespace jirapool::metrics {

std::optional<std::string> gzip(std::string_view text) {
    if (text.size() > std::numeric_limits<uInt>::max()) return std::nullopt;
    constexpr int with_gzip_header = 16;
    constexpr int memory_level = 8;  // zlib's default
    z_stream s{};
    if (deflateInit2(&s, Z_BEST_SPEED, Z_DEFLATED, with_gzip_header + MAX_WBITS, memory_level, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return std::nullopt;
    std::string out;
    try {
        out.resize(deflateBound(&s, static_cast<uLong>(text.size())));
    } catch (...) {
        deflateEnd(&s);
        throw;
    }
    s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib reads it only
    s.avail_in = static_cast<uInt>(text.size());
    s.next_out = reinterpret_cast<Bytef*>(out.data());
    s.avail_out = static_cast<uInt>(out.size());
    int const result = deflate(&s, Z_FINISH);
    out.resize(s.total_out);
    deflateEnd(&s);
    if (result != Z_STREAM_END) return std::nullopt;
    return out;
}

}  // namespace jirapool::metrics
