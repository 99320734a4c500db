#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace jirapool::mock {

/// What the API's port speaks. ALPN chooses; HTTP/2 without TLS (h2c) is never spoken.
enum class http_versions : std::uint8_t {
    either,   ///< HTTP/2 with clients that offer it, HTTP/1.1 with all others.
    http1_1,  ///< HTTP/1.1 only.
    http2,    ///< HTTP/2 only: the connection ends behind the handshake when a client offers no `h2`.
};

/// Why a stream or a connection ended (RFC 9113, section 7).
enum class http2_error : std::uint32_t {
    no_error = 0,
    protocol_error = 1,
    internal_error = 2,
    flow_control_error = 3,
    settings_timeout = 4,
    stream_closed = 5,
    frame_size_error = 6,
    refused_stream = 7,
    cancel = 8,
    compression_error = 9,
    connect_error = 10,
    enhance_your_calm = 11,
    inadequate_security = 12,
    http_1_1_required = 13,
};
inline constexpr std::uint32_t http2_error_count = 14;

/// What an HTTP/2 connection goes by. May be changed while the server runs.
struct http2_settings {
    /// How many streams a client may have open: above it they are refused. At most 2^31-1.
    std::uint32_t max_concurrent_streams = 128;
    /// How much of one request's body may be under way. At most 2^31-1.
    std::uint32_t initial_window = 65'535;
    /// The table of a client's header compression, in bytes. At most 1 MiB.
    std::uint32_t header_table = 4096;
    /// The largest frame that is taken. 16,384 to 16,777,215.
    std::uint32_t max_frame = 16'384;
    /// Answers' header fields that repeat are indexed; else none is, as nginx does it. Holds for connections that are opened later.
    bool index_headers = true;
};
/// "http2_settings::initial_window must be at most 2147483647", or nullptr.
char const* why_invalid(http2_settings const& s) noexcept;

/** What an HTTP/2 server may do against a client's expectation, or against the protocol, and does here when it is told to. Over HTTP/1.1
    none of it happens. "The request" is the one that the fault meets; where nothing else is said, it is acted on and answered as always. */
enum class http2_fault : std::uint8_t {
    // The request is not touched, so it may be sent again whatever it is.
    refuse,  ///< RST_STREAM with REFUSED_STREAM.
    goaway_untouched,  ///< GOAWAY whose last stream is the one below; that one and those below are answered, none above is touched.

    // GOAWAY of requests that are acted on.
    goaway,  ///< Graceful: GOAWAY with 2^31-1, and when a PING came back, GOAWAY with the last stream. All are answered.
    goaway_error,  ///< GOAWAY with `code` in place of the answer; no stream is answered any more, and the connection ends.
    goaway_mid_body,  ///< GOAWAY with the request as last stream in the middle of the answer's body; the rest follows.
    goaway_cut,       ///< The same with `code`, and the connection ends there.

    // RST_STREAM of requests that are acted on.
    reset,           ///< With `code`, in place of the answer.
    reset_mid_body,  ///< With `code`, in the middle of the answer's body.

    // Requests that are answered with 413 before their body ended, and not acted on.
    early_answer,       ///< Then RST_STREAM with NO_ERROR, as RFC 9113 (8.1) has it.
    early_answer_open,  ///< The rest of the body is read.

    // Odd, but not forbidden: a client answers them, or gets over them.
    informational,  ///< `count` answers of status 103 before the answer.
    padding,        ///< `size` bytes, 0 to 255, in each frame of the answer.
    slow_body,      ///< `size` bytes of the answer's body each `wait`.
    unknown_frame,  ///< A frame of an unknown type and a setting with an unknown name.
    stall_uploads,  ///< No WINDOW_UPDATE any more: a client's bodies stand still when the windows are used up.
    zero_window,    ///< SETTINGS with INITIAL_WINDOW_SIZE 0: a client's bodies stand still, those under way too.
    silence,        ///< Nothing more is read or sent, and the connection stays.

    // What a client must bound.
    large_headers,  ///< About `size` bytes of header fields in the answer.
    hpack_bomb,  ///< One field of 4,000 bytes, indexed, and `count` references to it. Spoils compression for later answers.
    continuation_flood,   ///< `count` CONTINUATION frames of `size` bytes and no end, in place of the answer.
    empty_data_flood,     ///< `count` DATA frames without data and no end, in place of the answer's body.
    ping_flood,           ///< `count` PINGs before the answer.
    settings_flood,       ///< `count` SETTINGS before the answer.
    window_update_flood,  ///< `count` WINDOW_UPDATEs of the connection before the answer.
    reset_flood,          ///< `count` RST_STREAMs with `code` in place of the answer.

    // What the protocol forbids, in place of the answer.
    push,                     ///< PUSH_PROMISE.
    wrong_text,               ///< An answer in HTTP/1.1.
    wrong_data_stream,        ///< DATA on stream 0.
    wrong_idle_stream,        ///< DATA on a stream that nobody opened.
    wrong_even_stream,        ///< HEADERS on a stream of the server's.
    wrong_frame_size,         ///< A frame larger than 16,384 bytes.
    wrong_settings_size,      ///< SETTINGS of 5 bytes.
    wrong_settings_value,     ///< SETTINGS with INITIAL_WINDOW_SIZE 2^31.
    wrong_settings_ack,       ///< SETTINGS with ACK and a payload.
    wrong_ping_size,          ///< PING of 7 bytes.
    wrong_window_update,      ///< WINDOW_UPDATE of 0.
    wrong_window_overflow,    ///< WINDOW_UPDATE beyond 2^31-1.
    wrong_reset_idle,         ///< RST_STREAM of a stream that nobody opened.
    wrong_padding,            ///< DATA whose padding is longer than the frame.
    wrong_continuation,       ///< CONTINUATION without HEADERS.
    wrong_interleaving,       ///< A PING in the middle of a header block.
    wrong_hpack,              ///< A header block that cannot be decoded.
    wrong_uppercase,          ///< A field's name in upper case.
    wrong_no_status,          ///< Fields without `:status`.
    wrong_connection_field,   ///< `connection: close`.
    wrong_length,             ///< A body shorter than its `content-length`.
    wrong_data_first,         ///< DATA before HEADERS.
    wrong_informational_end,  ///< 103 that ends the stream.
    wrong_frame_behind_end,   ///< DATA behind the end of the stream.
    wrong_switching,          ///< 101, which HTTP/2 does not have.
    wrong_goaway_stream,      ///< GOAWAY on a stream.
};
inline constexpr std::size_t http2_fault_count = static_cast<std::size_t>(http2_fault::wrong_goaway_stream) + 1;

struct http2_fault_info {
    http2_fault what{};
    /// As the enumerator: "goaway_mid_body".
    std::string_view name;
    /// What it does, in one line.
    std::string_view does;
    /// It needs no request: server::play_now can do it to open connections.
    bool is_of_connection = false;
};

/// In the order of the enumerators.
std::vector<http2_fault_info> list_http2_faults();
std::string_view to_string(http2_fault f) noexcept;
std::optional<http2_fault> find_http2_fault(std::string_view name) noexcept;

/// A fault and its figures; which of them it has, the enumerators say.
struct http2_step {
    http2_fault what{};
    http2_error code = http2_error::no_error;
    /// 0 to 1,000,000; times `size`, where frames have one, at most 256 MiB.
    std::uint32_t count = 1000;
    /// 0 to 16 MiB; at most 16,384 where it is a frame's, 255 for padding, above 0 for slow_body.
    std::uint32_t size = 100;
    /// 1 ms to 10 min.
    std::chrono::milliseconds wait{10};
};

/// A fault, and which requests it meets.
struct http2_fault_request {
    http2_step step;
    /// Each `every`-th of the HTTP/2 requests that come, over all connections; 1: each. 1 to 1,000,000,000.
    std::uint64_t every = 1;
    /// So many requests; nullopt: until faults are ended. 1 to 1,000,000,000.
    std::optional<std::uint64_t> times;
};

/// "http2_step::size must be at most 255 for padding", or nullptr.
char const* why_invalid(http2_step const& s) noexcept;
char const* why_invalid(http2_fault_request const& r) noexcept;

}  // namespace jirapool::mock
