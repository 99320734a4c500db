#include "http2_faults.hpp"

#include "http2_frames.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace jirapool::mock {
namespace {

using namespace http2_frames;

constexpr std::uint32_t max_31_bits = 0x7fff'ffff;
constexpr std::size_t usual_max_frame = 16'384;
/// Far above what anybody opens here.
constexpr std::uint32_t idle_stream = 0x0fff'ffff;
constexpr std::uint16_t initial_window_size = 4;

std::string status_only() { return std::string(1, status_200); }
std::string ok() { return status_only() + field("content-type", "text/plain"); }

std::string repeated(std::string const& frame, std::uint32_t count) {
    std::string out;
    out.reserve(frame.size() * count);
    for (std::uint32_t i = 0; i < count; ++i) out += frame;
    return out;
}

std::string frame(type t, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
    std::string out;
    append(out, t, flags, stream, payload);
    return out;
}

std::string answer_head(std::uint32_t stream, std::string const& block, std::uint8_t more_flags = none) {
    return frame(type::headers, end_headers | more_flags, stream, block);
}

std::string push(http2_step const&, std::uint32_t stream) {
    // GET https://site/ as the pushed request, by the static table where it has it.
    std::string const block = std::string("\x82\x87\x84") + field(":authority", "site-0001.atlassian.net");
    return frame(type::push_promise, end_headers, stream, bytes_of(2) + block);
}

std::string hpack_bomb(http2_step const& s, std::uint32_t stream) {
    std::string block = status_only() + indexed_field("x-bomb", std::string(4000, 'b'));
    // As many references as the frame holds; what is more comes in further frames of the block.
    block.append(s.count, newest_field);
    std::string out;
    for (std::size_t at = 0; at < block.size(); at += usual_max_frame) {
        std::string_view const part = std::string_view(block).substr(at, usual_max_frame);
        std::uint8_t const flags = at + part.size() == block.size() ? end_headers : none;
        append(out, at == 0 ? type::headers : type::continuation, flags, stream, part);
    }
    append(out, type::data, end_stream, stream, {});
    return out;
}

std::string continuation_flood(http2_step const& s, std::uint32_t stream) {
    // Fields of which none ends in a frame of its own, so that nothing but the block's size speaks against it.
    std::string const part = s.size < 8 ? std::string() : field("x", std::string(s.size - 8, 'c')).substr(0, s.size);
    return frame(type::headers, none, stream, status_only()) +
           repeated(frame(type::continuation, none, stream, part), s.count);
}

std::string empty_data_flood(http2_step const& s, std::uint32_t stream) {
    return answer_head(stream, ok()) + repeated(frame(type::data, none, stream, {}), s.count);
}

std::string window_update_flood(http2_step const& s, std::uint32_t) {
    return repeated(frame(type::window_update, none, 0, bytes_of(1)), s.count);
}

std::string reset_flood(http2_step const& s, std::uint32_t stream) {
    return repeated(frame(type::rst_stream, none, stream, bytes_of(static_cast<std::uint32_t>(s.code))), s.count);
}

std::string unknown_frame(http2_step const&, std::uint32_t stream) {
    std::string out;
    append(out, 0xee, 0xff, stream, "what is this");
    append(out, 0xef, none, 0, {});
    return out;
}

std::string wrong_text(http2_step const&, std::uint32_t) {
    return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
}
std::string wrong_data_stream(http2_step const&, std::uint32_t) { return frame(type::data, none, 0, "x"); }
std::string wrong_idle_stream(http2_step const&, std::uint32_t) { return frame(type::data, none, idle_stream, "x"); }
std::string wrong_even_stream(http2_step const&, std::uint32_t) { return answer_head(2, ok(), end_stream); }
std::string wrong_frame_size(http2_step const&, std::uint32_t stream) {
    // Larger than any client here permits.
    return answer_head(stream, ok()) + frame(type::data, none, stream, std::string((1u << 20) + 1, 'x'));
}
std::string wrong_settings_size(http2_step const&, std::uint32_t) { return frame(type::settings, none, 0, "12345"); }
std::string wrong_settings_value(http2_step const&, std::uint32_t) {
    return frame(type::settings, none, 0, setting(initial_window_size, max_31_bits + 1));
}
std::string wrong_settings_ack(http2_step const&, std::uint32_t) {
    return frame(type::settings, ack, 0, setting(initial_window_size, 1));
}
std::string wrong_ping_size(http2_step const&, std::uint32_t) { return frame(type::ping, none, 0, "1234567"); }
std::string wrong_window_update(http2_step const&, std::uint32_t) {
    return frame(type::window_update, none, 0, bytes_of(0));
}
std::string wrong_window_overflow(http2_step const&, std::uint32_t) {
    return frame(type::window_update, none, 0, bytes_of(max_31_bits));
}
std::string wrong_reset_idle(http2_step const&, std::uint32_t) {
    return frame(type::rst_stream, none, idle_stream, bytes_of(8));
}
std::string wrong_padding(http2_step const&, std::uint32_t stream) {
    return answer_head(stream, ok()) + frame(type::data, padded, stream, "\xffx");
}
std::string wrong_continuation(http2_step const&, std::uint32_t stream) {
    return frame(type::continuation, end_headers, stream, ok());
}
std::string wrong_interleaving(http2_step const&, std::uint32_t stream) {
    return frame(type::headers, none, stream, status_only()) + frame(type::ping, none, 0, "12345678") +
           frame(type::continuation, end_headers, stream, field("a", "b"));
}
std::string wrong_hpack(http2_step const&, std::uint32_t stream) {
    // A reference far behind the table's end.
    return answer_head(stream, "\xff\xff\xff\x7f", end_stream);
}
std::string wrong_uppercase(http2_step const&, std::uint32_t stream) {
    return answer_head(stream, status_only() + field("Content-Type", "text/plain"), end_stream);
}
std::string wrong_no_status(http2_step const&, std::uint32_t stream) {
    return answer_head(stream, field("content-type", "text/plain"), end_stream);
}
std::string wrong_connection_field(http2_step const&, std::uint32_t stream) {
    return answer_head(stream, status_only() + field("connection", "close"), end_stream);
}
std::string wrong_length(http2_step const&, std::uint32_t stream) {
    return answer_head(stream, status_only() + field("content-length", "10")) +
           frame(type::data, end_stream, stream, "12345");
}
std::string wrong_data_first(http2_step const&, std::uint32_t stream) { return frame(type::data, none, stream, "x"); }
std::string wrong_informational_end(http2_step const&, std::uint32_t stream) {
    return answer_head(stream, field(":status", "103"), end_stream);
}
std::string wrong_frame_behind_end(http2_step const&, std::uint32_t stream) {
    return answer_head(stream, ok(), end_stream) + frame(type::data, end_stream, stream, "x");
}
std::string wrong_switching(http2_step const&, std::uint32_t stream) {
    return answer_head(stream, field(":status", "101"));
}
std::string wrong_goaway_stream(http2_step const&, std::uint32_t stream) {
    return frame(type::goaway, none, stream, bytes_of(0) + bytes_of(0));
}

enum class how : std::uint8_t { untouched, early, answered, replaced };

struct row {
    http2_fault_info info;
    how with = how::answered;
    std::string (*frames)(http2_step const&, std::uint32_t stream) = nullptr;
};

constexpr row of_request(http2_fault f, std::string_view name, how with, std::string_view does) {
    return {{f, name, does, false}, with, nullptr};
}
constexpr row of_connection(http2_fault f, std::string_view name, how with, std::string_view does) {
    return {{f, name, does, true}, with, nullptr};
}
using make_frames = std::string (*)(http2_step const&, std::uint32_t);
/// With frames of its own: for the request's stream, or for the connection.
constexpr row on_stream(http2_fault f, std::string_view name, make_frames frames, how with, std::string_view does) {
    return {{f, name, does, false}, with, frames};
}
constexpr row on_connection(http2_fault f, std::string_view name, make_frames frames, how with, std::string_view does) {
    return {{f, name, does, true}, with, frames};
}

#define NAMED(x) http2_fault::x, #x
// clang-format off
constexpr std::array<row, http2_fault_count> table{{
    of_request(NAMED(refuse), how::untouched, "REFUSED_STREAM: the request is not touched"),
    of_request(NAMED(goaway_untouched), how::untouched, "GOAWAY below the request: it and those above are not touched"),

    of_connection(NAMED(goaway), how::answered, "a graceful end: GOAWAY twice, all answered"),
    of_connection(NAMED(goaway_error), how::replaced, "GOAWAY with a code in place of the answer, then the end"),
    of_request(NAMED(goaway_mid_body), how::answered, "GOAWAY in the middle of the body, which follows"),
    of_request(NAMED(goaway_cut), how::answered, "GOAWAY with a code in the middle of the body, then the end"),

    of_request(NAMED(reset), how::replaced, "RST_STREAM with a code in place of the answer"),
    of_request(NAMED(reset_mid_body), how::answered, "RST_STREAM with a code in the middle of the body"),

    of_request(NAMED(early_answer), how::early, "413 before the body ended, then RST_STREAM with NO_ERROR"),
    of_request(NAMED(early_answer_open), how::early, "413 before the body ended, of which the rest is read"),

    of_request(NAMED(informational), how::answered, "answers of status 103 before the answer"),
    of_request(NAMED(padding), how::answered, "padding in each frame of the answer"),
    of_request(NAMED(slow_body), how::answered, "a body that comes in small parts"),
    on_connection(NAMED(unknown_frame), unknown_frame, how::answered, "frames and a setting that nobody knows"),
    of_connection(NAMED(stall_uploads), how::answered, "no WINDOW_UPDATE any more"),
    of_connection(NAMED(zero_window), how::answered, "an initial window of 0"),
    of_connection(NAMED(silence), how::replaced, "nothing more is read or sent"),

    of_request(NAMED(large_headers), how::answered, "an answer with very many header fields"),
    on_stream(NAMED(hpack_bomb), hpack_bomb, how::replaced, "a large header field that is referred to again and again"),
    on_stream(NAMED(continuation_flood), continuation_flood, how::replaced, "a header block that does not end"),
    on_stream(NAMED(empty_data_flood), empty_data_flood, how::replaced, "empty DATA frames without end"),
    of_connection(NAMED(ping_flood), how::answered, "very many PINGs"),
    of_connection(NAMED(settings_flood), how::answered, "very many SETTINGS"),
    on_connection(NAMED(window_update_flood), window_update_flood, how::answered, "very many WINDOW_UPDATEs"),
    on_stream(NAMED(reset_flood), reset_flood, how::replaced, "very many RST_STREAMs"),

    on_stream(NAMED(push), push, how::replaced, "PUSH_PROMISE"),
    on_connection(NAMED(wrong_text), wrong_text, how::replaced, "an answer in HTTP/1.1"),
    on_connection(NAMED(wrong_data_stream), wrong_data_stream, how::replaced, "DATA on stream 0"),
    on_connection(NAMED(wrong_idle_stream), wrong_idle_stream, how::replaced, "DATA on a stream that nobody opened"),
    on_connection(NAMED(wrong_even_stream), wrong_even_stream, how::replaced, "HEADERS on a stream of the server's"),
    on_stream(NAMED(wrong_frame_size), wrong_frame_size, how::replaced, "a frame above the maximum"),
    on_connection(NAMED(wrong_settings_size), wrong_settings_size, how::replaced, "SETTINGS of 5 bytes"),
    on_connection(NAMED(wrong_settings_value), wrong_settings_value, how::replaced, "an initial window of 2^31"),
    on_connection(NAMED(wrong_settings_ack), wrong_settings_ack, how::replaced, "SETTINGS with ACK and a payload"),
    on_connection(NAMED(wrong_ping_size), wrong_ping_size, how::replaced, "PING of 7 bytes"),
    on_connection(NAMED(wrong_window_update), wrong_window_update, how::replaced, "WINDOW_UPDATE of 0"),
    on_connection(NAMED(wrong_window_overflow), wrong_window_overflow, how::replaced, "WINDOW_UPDATE beyond 2^31-1"),
    on_connection(NAMED(wrong_reset_idle), wrong_reset_idle, how::replaced, "RST_STREAM of a stream that nobody opened"),
    on_stream(NAMED(wrong_padding), wrong_padding, how::replaced, "padding longer than its frame"),
    on_stream(NAMED(wrong_continuation), wrong_continuation, how::replaced, "CONTINUATION without HEADERS"),
    on_stream(NAMED(wrong_interleaving), wrong_interleaving, how::replaced, "a PING in the middle of a header block"),
    on_stream(NAMED(wrong_hpack), wrong_hpack, how::replaced, "a header block that cannot be decoded"),
    on_stream(NAMED(wrong_uppercase), wrong_uppercase, how::replaced, "a field's name in upper case"),
    on_stream(NAMED(wrong_no_status), wrong_no_status, how::replaced, "an answer without a status"),
    on_stream(NAMED(wrong_connection_field), wrong_connection_field, how::replaced, "a field of HTTP/1.1's connections"),
    on_stream(NAMED(wrong_length), wrong_length, how::replaced, "a body shorter than its content-length"),
    on_stream(NAMED(wrong_data_first), wrong_data_first, how::replaced, "DATA before HEADERS"),
    on_stream(NAMED(wrong_informational_end), wrong_informational_end, how::replaced, "103 that ends the stream"),
    on_stream(NAMED(wrong_frame_behind_end), wrong_frame_behind_end, how::replaced, "DATA behind the end of the stream"),
    on_stream(NAMED(wrong_switching), wrong_switching, how::replaced, "101, which HTTP/2 does not have"),
    on_stream(NAMED(wrong_goaway_stream), wrong_goaway_stream, how::replaced, "GOAWAY on a stream"),
}};
// clang-format on
#undef NAMED

constexpr bool is_in_order() noexcept {
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (static_cast<std::size_t>(table[i].info.what) != i) return false;
    }
    return true;
}
static_assert(is_in_order());

row const& row_of(http2_fault f) noexcept { return table[static_cast<std::size_t>(f)]; }

}  // namespace

std::vector<http2_fault_info> list_http2_faults() {
    std::vector<http2_fault_info> all;
    for (row const& r : table) all.push_back(r.info);
    return all;
}

std::string_view to_string(http2_fault f) noexcept { return row_of(f).info.name; }

std::optional<http2_fault> find_http2_fault(std::string_view name) noexcept {
    auto const it = std::find_if(table.begin(), table.end(), [name](row const& r) { return r.info.name == name; });
    if (it == table.end()) return std::nullopt;
    return it->info.what;
}

char const* why_invalid(http2_settings const& s) noexcept {
    if (s.max_concurrent_streams > max_31_bits)
        return "http2_settings::max_concurrent_streams must be at most 2147483647";
    if (s.initial_window > max_31_bits) return "http2_settings::initial_window must be at most 2147483647";
    if (s.header_table > 1u << 20) return "http2_settings::header_table must be at most 1 MiB";
    if (s.max_frame < usual_max_frame || s.max_frame >= 1u << 24) {
        return "http2_settings::max_frame must be 16,384 to 16,777,215";
    }
    return nullptr;
}

char const* why_invalid(http2_step const& s) noexcept {
    if (static_cast<std::size_t>(s.what) >= http2_fault_count) return "http2_step::what must be a fault";
    if (static_cast<std::uint32_t>(s.code) >= http2_error_count) return "http2_step::code must be 0 to 13";
    if (s.count > 1'000'000) return "http2_step::count must be at most 1,000,000";
    // They are made all at once.
    if (s.what == http2_fault::continuation_flood && std::uint64_t{s.count} * s.size > 256u << 20) {
        return "http2_step::count times size must be at most 256 MiB";
    }
    if (s.what == http2_fault::padding && s.size > 255) return "http2_step::size must be at most 255 for padding";
    if (s.what == http2_fault::large_headers && s.size > 16u << 20) return "http2_step::size must be at most 16 MiB";
    if (s.what != http2_fault::large_headers && s.size > usual_max_frame) {
        return "http2_step::size must be at most 16,384 for a frame";
    }
    if (s.what == http2_fault::slow_body && s.size == 0) return "http2_step::size must be above 0 for slow_body";
    if (s.wait < std::chrono::milliseconds{1} || s.wait > std::chrono::minutes{10}) {
        return "http2_step::wait must be 1 ms to 10 min";
    }
    return nullptr;
}

char const* why_invalid(http2_fault_request const& r) noexcept {
    constexpr std::uint64_t most = 1'000'000'000;
    if (char const* const problem = why_invalid(r.step)) return problem;
    if (r.every < 1 || r.every > most) return "http2_fault_request::every must be 1 to 1,000,000,000";
    if (r.times && (*r.times < 1 || *r.times > most)) return "http2_fault_request::times must be 1 to 1,000,000,000";
    return nullptr;
}

char const* why_unplayable_now(http2_step const& s) noexcept {
    if (char const* const problem = why_invalid(s)) return problem;
    return row_of(s.what).info.is_of_connection ? nullptr : "http2_step::what needs a request";
}

bool leaves_untouched(http2_fault f) noexcept { return row_of(f).with == how::untouched; }
bool answers_early(http2_fault f) noexcept { return row_of(f).with == how::early; }
bool replaces_answer(http2_fault f) noexcept { return row_of(f).with == how::replaced; }

std::string raw_frames(http2_step const& s, std::uint32_t stream) {
    row const& r = row_of(s.what);
    return r.frames ? r.frames(s, stream) : std::string();
}

}  // namespace jirapool::mock
