#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// HTTP/2's frames by hand (RFC 9113, section 4), good ones and others: nobody here sees to it that they make sense.
namespace jirapool::test::h2 {

enum type : std::uint8_t {
    data = 0,
    headers = 1,
    priority = 2,
    rst_stream = 3,
    settings = 4,
    push_promise = 5,
    ping = 6,
    goaway = 7,
    window_update = 8,
    continuation = 9,
};

constexpr std::uint8_t end_stream = 0x1;
constexpr std::uint8_t ack = 0x1;
constexpr std::uint8_t end_headers = 0x4;
constexpr std::uint8_t padded = 0x8;

enum error : std::uint32_t {
    no_error = 0,
    protocol_error = 1,
    internal_error = 2,
    refused_stream = 7,
    cancel = 8,
    enhance_your_calm = 0xb,
    http_1_1_required = 0xd,
};

constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::uint32_t last_stream_id = 0x7fffffff;

inline std::string word(std::uint32_t n) {
    return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
}

inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {}) {
    auto const n = payload.size();
    std::string out{static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n),
                    static_cast<char>(type), static_cast<char>(flags)};
    out += word(stream);
    out += payload;
    return out;
}

inline std::string settings_frame(std::initializer_list<std::pair<std::uint16_t, std::uint32_t>> values = {}) {
    std::string payload;
    for (auto const& [id, value] : values) {
        payload += {static_cast<char>(id >> 8), static_cast<char>(id)};
        payload += word(value);
    }
    return frame(settings, 0, 0, payload);
}
inline std::string settings_ack() { return frame(settings, ack, 0); }
constexpr std::uint16_t max_concurrent_streams = 3;
constexpr std::uint16_t initial_window_size = 4;
constexpr std::uint16_t max_frame_size = 5;

/// HPACK (RFC 7541): a field without indexing, by its name, nothing compressed.
inline std::string field(std::string_view name, std::string_view value) {
    std::string out(1, '\0');
    auto const text = [&](std::string_view t) {
        constexpr std::size_t most = 127;
        if (t.size() < most) {
            out += static_cast<char>(t.size());
        } else {
            out += static_cast<char>(most);
            auto left = t.size() - most;
            for (; left >= 128; left /= 128) out += static_cast<char>(left % 128 + 128);
            out += static_cast<char>(left);
        }
        out += t;
    };
    text(name);
    text(value);
    return out;
}
using fields = std::vector<std::pair<std::string, std::string>>;
inline std::string block(fields const& all) {
    std::string out;
    for (auto const& [name, value] : all) out += field(name, value);
    return out;
}

inline std::string headers_frame(std::uint32_t stream, fields const& all, bool last = false) {
    return frame(headers, static_cast<std::uint8_t>(end_headers | (last ? end_stream : 0)), stream, block(all));
}
inline std::string data_frame(std::uint32_t stream, std::string_view body, bool last = false) {
    return frame(data, last ? end_stream : 0, stream, body);
}
inline std::string padded_data_frame(std::uint32_t stream, std::string_view body, std::uint8_t padding,
                                     bool last = false) {
    std::string payload(1, static_cast<char>(padding));
    payload += body;
    payload.append(padding, '\0');
    return frame(data, static_cast<std::uint8_t>(padded | (last ? end_stream : 0)), stream, payload);
}
/// In frames of the size that all take.
inline std::string data_frames(std::uint32_t stream, std::string_view body, bool last) {
    constexpr std::size_t most = 16384;
    std::string all;
    for (; body.size() > most; body.remove_prefix(most)) all += data_frame(stream, body.substr(0, most));
    return all + data_frame(stream, body, last);
}
/// A whole answer.
inline std::string answer(std::uint32_t stream, std::string_view body, fields more = {}, std::string status = "200") {
    fields all{{":status", std::move(status)}};
    all.insert(all.end(), more.begin(), more.end());
    if (body.empty()) return headers_frame(stream, all, true);
    return headers_frame(stream, all) + data_frames(stream, body, true);
}
inline std::string rst_frame(std::uint32_t stream, std::uint32_t code) {
    return frame(rst_stream, 0, stream, word(code));
}
inline std::string goaway_frame(std::uint32_t last, std::uint32_t code, std::string_view words = {}) {
    return frame(goaway, 0, 0, word(last) + word(code) + std::string(words));
}
inline std::string ping_frame(std::uint8_t flags = 0) { return frame(ping, flags, 0, "01234567"); }
inline std::string window_frame(std::uint32_t stream, std::uint32_t n) {
    return frame(window_update, 0, stream, word(n));
}

/// A frame that came.
struct seen_frame {
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
    std::uint32_t stream = 0;
    std::string payload;
    bool ends_stream() const { return (flags & end_stream) != 0 && (type == data || type == headers); }
    std::uint32_t word_at(std::size_t i) const {
        std::uint32_t n = 0;
        for (std::size_t k = i; k < i + 4 && k < payload.size(); ++k)
            n = n << 8 | static_cast<unsigned char>(payload[k]);
        return n;
    }
};

/// Takes the first frame off the bytes; nullopt: it is not whole.
inline std::optional<seen_frame> next_frame(std::string& bytes) {
    constexpr std::size_t head = 9;
    if (bytes.size() < head) return std::nullopt;
    auto const byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
    std::size_t const size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (bytes.size() < head + size) return std::nullopt;
    seen_frame f;
    f.type = static_cast<std::uint8_t>(byte(3));
    f.flags = static_cast<std::uint8_t>(byte(4));
    f.stream = byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
    f.payload = bytes.substr(head, size);
    bytes.erase(0, head + size);
    return f;
}

}  // namespace jirapool::test::h2
