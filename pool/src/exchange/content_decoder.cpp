#include "exchange/content_decoder.hpp"

#include <jirapool/core/secret.hpp>

#include <boost/beast/core/string.hpp>

#include <brotli/decode.h>
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace jirapool::detail {

namespace {

// Asked for at a time; what the body's buffer has beyond it is used as well.
constexpr std::size_t least_room = 4u << 10;
constexpr std::size_t most_room = 256u << 10;

bool same(std::string_view a, std::string_view b) noexcept {
    return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

// What a decoder keeps of its output: its window, which is wiped when it is given back.
struct alignas(std::max_align_t) block {
    std::size_t size;  // of the bytes behind it
};

void* allocate(void*, std::size_t size) noexcept {
    auto* const b = static_cast<block*>(std::malloc(sizeof(block) + size));
    if (b == nullptr) return nullptr;
    b->size = size;
    return b + 1;
}

void release(void*, void* bytes) noexcept {
    if (bytes == nullptr) return;
    auto* const b = static_cast<block*>(bytes) - 1;
    wipe(bytes, b->size);
    std::free(b);
}

void* allocate_items(void*, uInt count, uInt size) noexcept { return allocate(nullptr, std::size_t{count} * size); }

}  // namespace

std::optional<content_coding> content_coding_of(std::string_view value) noexcept {
    if (value.empty() || same(value, "identity")) return content_coding::identity;
    if (same(value, "gzip") || same(value, "x-gzip")) return content_coding::gzip;
    if (same(value, "br")) return content_coding::brotli;
    return std::nullopt;
}

struct content_decoder::gzip_state {
    explicit gzip_state(memory m) {
        if (m == memory::wiped) {
            stream.zalloc = allocate_items;
            stream.zfree = release;
        }
        constexpr int gzip_only = 16;
        if (inflateInit2(&stream, gzip_only + MAX_WBITS) != Z_OK) throw std::bad_alloc();
    }
    ~gzip_state() { inflateEnd(&stream); }
    z_stream stream{};
};

struct content_decoder::brotli_state {
    explicit brotli_state(memory m)
        : stream(m == memory::wiped ? BrotliDecoderCreateInstance(allocate, release, nullptr)
                                    : BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
        if (stream == nullptr) throw std::bad_alloc();
    }
    ~brotli_state() { BrotliDecoderDestroyInstance(stream); }
    BrotliDecoderState* stream;
};

content_decoder::content_decoder(content_coding c, limits l, memory m) : limits_(l) {
    if (c == content_coding::gzip) gzip_ = std::make_unique<gzip_state>(m);
    else brotli_ = std::make_unique<brotli_state>(m);
}

content_decoder::~content_decoder() = default;

content_decoder::step content_decoder::gunzip(std::string_view& in, char* out, std::size_t& size) {
    auto& s = gzip_->stream;
    s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    s.avail_in = static_cast<uInt>(std::min<std::size_t>(in.size(), 1u << 30));
    s.next_out = reinterpret_cast<Bytef*>(out);
    s.avail_out = static_cast<uInt>(size);
    auto const offered = s.avail_in;
    int const result = inflate(&s, Z_NO_FLUSH);
    in.remove_prefix(offered - s.avail_in);
    size -= s.avail_out;
    if (result == Z_STREAM_END) return step::ended;
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result != Z_OK && result != Z_BUF_ERROR) return step::corrupt;
    return s.avail_out == 0 ? step::more_output : step::more_input;
}

content_decoder::step content_decoder::unbrotli(std::string_view& in, char* out, std::size_t& size) {
    auto available = in.size();
    auto const* next = reinterpret_cast<std::uint8_t const*>(in.data());
    auto room = size;
    auto* to = reinterpret_cast<std::uint8_t*>(out);
    auto const result = BrotliDecoderDecompressStream(brotli_->stream, &available, &next, &room, &to, nullptr);
    in.remove_prefix(in.size() - available);
    size -= room;
    switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS: return step::ended;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT: return step::more_input;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: return step::more_output;
    case BROTLI_DECODER_RESULT_ERROR: break;
    }
    return step::corrupt;
}

bool content_decoder::begin_member(std::string_view data) noexcept {
    // What is no member's first byte is not decoded to see what it is: it is none of the body.
    if (!gzip_ || data.empty() || data.front() != '\x1f') return false;
    // Keeps the window: a member of nothing, of which there may be a million, costs little.
    inflateReset(&gzip_->stream);
    ended_ = false;
    return true;
}

content_decoder::problem content_decoder::put(std::string_view data, padded_buffer& out) {
    do {
        if (auto const p = put_some(data, out, most_room)) return p;
    } while (more_);
    return {};
}

content_decoder::problem content_decoder::put_some(std::string_view& data, padded_buffer& out, std::size_t most) {
    if (!std::exchange(more_, false) && data.empty()) return {};
    if (ended_ && !begin_member(data)) return {"bytes follow the compressed body's end"};
    auto* const to = out.prepare(std::min(most, least_room));
    auto size = std::min(out.capacity() - out.size(), most);
    auto const before = data.size();
    auto const next = gzip_ ? gunzip(data, to, size) : unbrotli(data, to, size);
    out.commit(size);
    consumed_ += before - data.size();
    decoded_ += size;
    if (next == step::corrupt) return {"the compressed body is corrupt"};
    if (decoded_ > limits_.max_body)
        return {"the decoded body is over wire_params::max_body", errc::response_too_large};
    if (decoded_ > free_of_ratio && decoded_ / limits_.max_ratio > consumed_)
        return {"the body decodes to more than wire_params::max_ratio times its size", errc::response_too_large};
    ended_ = next == step::ended;
    more_ = next == step::more_output || (ended_ && !data.empty());
    return {};
}

content_decoder::problem content_decoder::finish() const noexcept {
    if (ended_ || consumed_ == 0) return {};
    return {"the compressed body ends too early"};
}

}  // namespace jirapool::detail
