#pragma once

#include <brotli/encode.h>
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool::test {

/// `times` times the text, compressed as well as can be without the whole ever being in memory.
inline std::string gzipped(std::string_view text, std::size_t times = 1) {
    z_stream s{};
    constexpr int with_gzip_header = 16;
    if (deflateInit2(&s, Z_BEST_COMPRESSION, Z_DEFLATED, with_gzip_header + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::runtime_error("zlib");
    std::string out;
    std::vector<Bytef> piece(64u << 10);
    for (std::size_t i = 0; i < times; ++i) {
        s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
        s.avail_in = static_cast<uInt>(text.size());
        do {
            s.next_out = piece.data();
            s.avail_out = static_cast<uInt>(piece.size());
            deflate(&s, i + 1 == times ? Z_FINISH : Z_NO_FLUSH);
            out.append(reinterpret_cast<char const*>(piece.data()), piece.size() - s.avail_out);
        } while (s.avail_out == 0);
    }
    deflateEnd(&s);
    return out;
}

inline std::string brotlied(std::string_view text, std::size_t times = 1) {
    auto* const s = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
    if (s == nullptr) throw std::runtime_error("brotli");
    BrotliEncoderSetParameter(s, BROTLI_PARAM_QUALITY, 5);
    std::string out;
    for (std::size_t i = 0; i < times; ++i) {
        bool const last = i + 1 == times;
        auto size = text.size();
        auto const* in = reinterpret_cast<std::uint8_t const*>(text.data());
        do {
            std::size_t no_room = 0;
            std::uint8_t* nowhere = nullptr;
            if (!BrotliEncoderCompressStream(s, last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS, &size, &in,
                                             &no_room, &nowhere, nullptr))
                throw std::runtime_error("brotli");
            std::size_t ready = 0;
            auto const* const bytes = BrotliEncoderTakeOutput(s, &ready);
            out.append(reinterpret_cast<char const*>(bytes), ready);
        } while (size > 0 || BrotliEncoderHasMoreOutput(s));
    }
    BrotliEncoderDestroyInstance(s);
    return out;
}

}  // namespace jirapool::test
