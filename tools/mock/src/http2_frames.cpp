#include "http2_frames.hpp"

namespace jirapool::mock::http2_frames {
namespace {

char byte(std::uint32_t n) noexcept { return static_cast<char>(static_cast<unsigned char>(n)); }

/// A string without Huffman's code: its length by RFC 7541, 5.1, with a prefix of 7 bits.
void append_string(std::string& out, std::string_view text) {
    constexpr std::size_t prefix = 127;
    if (text.size() < prefix) {
        out += byte(static_cast<std::uint32_t>(text.size()));
    } else {
        out += byte(prefix);
        std::size_t rest = text.size() - prefix;
        for (; rest >= 128; rest /= 128) out += byte(static_cast<std::uint32_t>(rest % 128 + 128));
        out += byte(static_cast<std::uint32_t>(rest));
    }
    out += text;
}

std::string literal(char how, std::string_view name, std::string_view value) {
    std::string out(1, how);
    append_string(out, name);
    append_string(out, value);
    return out;
}

}  // namespace

void append(std::string& out, std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
    auto const size = static_cast<std::uint32_t>(payload.size());
    out += {byte(size >> 16), byte(size >> 8), byte(size), byte(type), byte(flags)};
    out += bytes_of(stream);
    out += payload;
}

std::string bytes_of(std::uint32_t n) { return {byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}; }

std::string setting(std::uint16_t name, std::uint32_t value) {
    return std::string{byte(name >> 8), byte(name)} + bytes_of(value);
}

std::string field(std::string_view name, std::string_view value) { return literal('\x00', name, value); }
std::string indexed_field(std::string_view name, std::string_view value) { return literal('\x40', name, value); }

}  // namespace jirapool::mock::http2_frames
