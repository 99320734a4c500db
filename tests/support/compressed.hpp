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

/// A compressed stream without an end that decodes to zeros: what it begins with, and what repeats.
struct bomb {
    std::string begin;
    std::string again;
    std::size_t zeros_each = 0;  ///< that `again` decodes to
};

inline bomb gzip_bomb() {
    std::string const zeros(1u << 20, '\0');
    z_stream s{};
    constexpr int with_gzip_header = 16;
    if (deflateInit2(&s, Z_BEST_COMPRESSION, Z_DEFLATED, with_gzip_header + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::runtime_error("zlib");
    // A full flush forgets everything: what follows it is the same bytes each time.
    auto const flushed = [&] {
        std::string out(64u << 10, '\0');
        s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zeros.data()));
        s.avail_in = static_cast<uInt>(zeros.size());
        s.next_out = reinterpret_cast<Bytef*>(out.data());
        s.avail_out = static_cast<uInt>(out.size());
        deflate(&s, Z_FULL_FLUSH);
        out.resize(out.size() - s.avail_out);
        return out;
    };
    bomb b;
    b.begin = flushed();
    b.again = flushed();
    b.zeros_each = zeros.size();
    bool const same = flushed() == b.again;
    deflateEnd(&s);
    if (!same) throw std::runtime_error("this zlib makes no such bombs");
    return b;
}

inline bomb brotli_bomb() {
    std::string const zeros(1u << 20, '\0');
    auto* const s = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
    if (s == nullptr) throw std::runtime_error("brotli");
    auto const flushed = [&] {
        std::string out;
        auto size = zeros.size();
        auto const* in = reinterpret_cast<std::uint8_t const*>(zeros.data());
        do {
            std::size_t no_room = 0;
            std::uint8_t* nowhere = nullptr;
            BrotliEncoderCompressStream(s, BROTLI_OPERATION_FLUSH, &size, &in, &no_room, &nowhere, nullptr);
            std::size_t ready = 0;
            auto const* const bytes = BrotliEncoderTakeOutput(s, &ready);
            out.append(reinterpret_cast<char const*>(bytes), ready);
        } while (size > 0 || BrotliEncoderHasMoreOutput(s));
        return out;
    };
    bomb b;
    // The first ones differ, until the window is full of zeros.
    for (int i = 0; i < 64; ++i) {
        b.again = flushed();
        b.begin += b.again;
    }
    b.zeros_each = zeros.size();
    bool const same = flushed() == b.again;
    BrotliEncoderDestroyInstance(s);
    if (!same) throw std::runtime_error("this brotli makes no such bombs");
    return b;
}

}  // namespace jirapool::test
