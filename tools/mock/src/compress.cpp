#include "compress.hpp"

#include "reply.hpp"
#include "text.hpp"

#include <brotli/encode.h>
#include <zlib.h>

#include <stdexcept>

namespace jirapool::mock {
namespace {

bool offers(std::string_view accept_encoding, std::string_view coding) {
    while (!accept_encoding.empty()) {
        auto const comma = accept_encoding.find(',');
        auto part = accept_encoding.substr(0, comma);
        accept_encoding.remove_prefix(comma == accept_encoding.npos ? accept_encoding.size() : comma + 1);
        while (part.starts_with(' ')) part.remove_prefix(1);
        if (same_name(part.substr(0, part.find_first_of("; ")), coding)) return true;
    }
    return false;
}

}  // namespace

std::string gzip(std::string_view text) {
    z_stream s{};
    constexpr int with_gzip_header = 16;
    constexpr int memory_level = 8;
    if (deflateInit2(&s, 1, Z_DEFLATED, with_gzip_header + MAX_WBITS, memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::runtime_error("cannot compress");
    std::string out(deflateBound(&s, static_cast<uLong>(text.size())), '\0');
    s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    s.avail_in = static_cast<uInt>(text.size());
    s.next_out = reinterpret_cast<Bytef*>(out.data());
    s.avail_out = static_cast<uInt>(out.size());
    int const result = deflate(&s, Z_FINISH);
    out.resize(s.total_out);
    deflateEnd(&s);
    if (result != Z_STREAM_END) throw std::runtime_error("cannot compress");
    return out;
}

std::string brotli(std::string_view text) {
    constexpr int fast = 3;
    std::size_t size = BrotliEncoderMaxCompressedSize(text.size());
    std::string out(size, '\0');
    if (BrotliEncoderCompress(fast, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, text.size(),
                              reinterpret_cast<std::uint8_t const*>(text.data()), &size,
                              reinterpret_cast<std::uint8_t*>(out.data())) != BROTLI_TRUE)
        throw std::runtime_error("cannot compress");
    out.resize(size);
    return out;
}

void compress(reply& r, std::string_view accept_encoding) {
    r.headers += "Vary: Accept-Encoding\r\n";
    if (r.body.empty()) return;
    if (offers(accept_encoding, "br")) {
        r.body = brotli(r.body);
        r.headers += "Content-Encoding: br\r\n";
    } else if (offers(accept_encoding, "gzip")) {
        r.body = gzip(r.body);
        r.headers += "Content-Encoding: gzip\r\n";
    }
}

}  // namespace jirapool::mock
