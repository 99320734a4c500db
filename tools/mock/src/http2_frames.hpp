#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace jirapool::mock::http2_frames {

// Bytes of HTTP/2 frames (RFC 9113, section 4) and header fields (RFC 7541, section 6), for what a library refuses to send. Whether
// they make sense is the caller's matter.

enum class type : std::uint8_t {
    data = 0,
    headers = 1,
    rst_stream = 3,
    settings = 4,
    push_promise = 5,
    ping = 6,
    goaway = 7,
    window_update = 8,
    continuation = 9,
};

// Flags.
inline constexpr std::uint8_t none = 0;
inline constexpr std::uint8_t end_stream = 1;
inline constexpr std::uint8_t ack = 1;
inline constexpr std::uint8_t end_headers = 4;
inline constexpr std::uint8_t padded = 8;

inline constexpr std::size_t head_size = 9;

/// `type` as a number too, since there are types that nobody knows.
void append(std::string& out, std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);
inline void append(std::string& out, type t, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
    append(out, static_cast<std::uint8_t>(t), flags, stream, payload);
}

/// Big-endian.
std::string bytes_of(std::uint32_t n);
/// One setting of a SETTINGS frame.
std::string setting(std::uint16_t name, std::uint32_t value);

/// A field that is not indexed, so that it changes nothing for other header blocks.
std::string field(std::string_view name, std::string_view value);
/// A field that becomes the newest of the table.
std::string indexed_field(std::string_view name, std::string_view value);
/// ":status: 200", and a reference to the newest field of the table.
inline constexpr char status_200 = '\x88';
inline constexpr char newest_field = '\xbe';

}  // namespace jirapool::mock::http2_frames
