#include "wire/http2_frame_meter.hpp"

#include <algorithm>

namespace jirapool::detail {

namespace {

// RFC 9113, section 6.
enum frame_type : std::uint8_t {
    data,
    headers,
    priority,
    rst_stream,
    settings,
    push_promise,
    ping,
    goaway,
    window_update,
    continuation,
};

constexpr unsigned end_stream = 0x1;
constexpr unsigned padded = 0x8;

// Padding is at most so long, with its length: a smaller frame may hold nothing else.
constexpr std::uint32_t most_padding = 256;

// Of a header in a block beside its name and value: two lengths and the kind.
constexpr std::uint64_t header_overhead = 16;

}  // namespace

http2_frame_meter::http2_frame_meter(std::uint32_t max_head, std::uint32_t max_headers, steady_time now) noexcept
    : refilled_(now),
      max_block_(max_head + header_overhead * max_headers),
      // Servers fill their frames, of 16 KiB, or send a whole head in one that is smaller.
      max_continuations_(8 + max_head / 4096) {}

void http2_frame_meter::earn(std::uint32_t frames) noexcept { earned_ = std::min(earned_ + frames, most_earned); }

http2_frame_meter::problem http2_frame_meter::pay(char const* rule, steady_time now) noexcept {
    if (idle_frames_ == 0) {
        auto const passed = std::chrono::duration_cast<std::chrono::seconds>(now - refilled_).count();
        if (passed > 0) {
            refilled_ = now;
            idle_frames_ = static_cast<std::uint32_t>(std::min<std::int64_t>(most_idle_frames, passed * per_second));
        }
    }
    if (idle_frames_ > 0) --idle_frames_;
    else if (earned_ > 0) --earned_;
    else return {rule};
    return {};
}

http2_frame_meter::problem http2_frame_meter::on_frame(steady_time now) noexcept {
    auto const length = payload_left_;
    auto const type = head_[3];
    auto const flags = head_[4];
    switch (type) {
    case data: {
        bool const may_be_empty = length == 0 || ((flags & padded) != 0 && length <= most_padding);
        if (may_be_empty && (flags & end_stream) == 0)
            return pay("the server sends more DATA frames with nothing in them than any has use for", now);
        body_bytes_ += std::min(length, std::uint32_t{1} << 24);
        earn(body_bytes_ / bytes_per_frame);
        body_bytes_ %= bytes_per_frame;
        return {};
    }
    // None is asked for before the server was told so.
    case push_promise: return {"the server pushes, though it was told not to"};
    case headers:
    case continuation:
        block_ = type == continuation ? block_ + length : length;
        continuations_ = type == continuation ? continuations_ + 1 : 0;
        if (block_ > max_block_) return {"the head is over wire_params::max_head", errc::response_too_large};
        if (continuations_ > max_continuations_)
            return {"the server sends a head in more CONTINUATION frames than any has use for"};
        return type == continuation ? pay("the server sends more CONTINUATION frames than any has use for", now)
                                    : pay("the server sends more HEADERS frames than any has use for", now);
    case priority: return pay("the server sends more PRIORITY frames than any has use for", now);
    case rst_stream: return pay("the server sends more RST_STREAM frames than any has use for", now);
    case settings: return pay("the server sends more SETTINGS frames than any has use for", now);
    case ping: return pay("the server sends more PING frames than any has use for", now);
    case goaway: return pay("the server sends more GOAWAY frames than any has use for", now);
    case window_update: return pay("the server sends more WINDOW_UPDATE frames than any has use for", now);
    default: return pay("the server sends more frames of unknown types than any has use for", now);
    }
}

http2_frame_meter::problem http2_frame_meter::put(std::string_view bytes, steady_time now) noexcept {
    while (!bytes.empty()) {
        if (payload_left_ > 0) {
            auto const skipped = std::min<std::size_t>(payload_left_, bytes.size());
            payload_left_ -= static_cast<std::uint32_t>(skipped);
            bytes.remove_prefix(skipped);
            continue;
        }
        auto const part = std::min(head_.size() - head_size_, bytes.size());
        std::copy_n(bytes.begin(), part, head_.begin() + static_cast<std::ptrdiff_t>(head_size_));
        head_size_ += part;
        bytes.remove_prefix(part);
        if (head_size_ < head_.size()) break;
        head_size_ = 0;
        payload_left_ = std::uint32_t{head_[0]} << 16 | std::uint32_t{head_[1]} << 8 | head_[2];
        if (auto p = on_frame(now)) {
            p.stream = (std::uint32_t{head_[5]} & 0x7f) << 24 | std::uint32_t{head_[6]} << 16 |
                       std::uint32_t{head_[7]} << 8 | head_[8];
            return p;
        }
    }
    return {};
}

}  // namespace jirapool::detail
