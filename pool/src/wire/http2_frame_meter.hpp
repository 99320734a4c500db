#pragma once

#include <jirapool/core/error.hpp>
#include <jirapool/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jirapool::detail {

/** Watches what a server's frames are for. Each costs CPU here; those that bring an answer no further (PING, SETTINGS, WINDOW_UPDATE,
    empty DATA and all others that carry nothing) are bounded by time and by what is asked of the server, and so is a block of headers,
    which nobody can look at before it is whole. Sans-I/O. */
class http2_frame_meter {
public:
    /// What was broken; `rule` is a literal, nullptr when nothing was.
    struct problem {
        char const* rule = nullptr;
        errc code = errc::protocol_error;
        std::uint32_t stream = 0;  ///< whose frame broke it; 0: the connection's
        explicit operator bool() const noexcept { return rule != nullptr; }
    };

    http2_frame_meter(std::uint32_t max_head, std::uint32_t max_headers, steady_time now) noexcept;

    /// Bytes of the connection, as they come. After a problem it must not be called again.
    problem put(std::string_view bytes, steady_time now) noexcept;

    /// A request went out, or a part of its body: servers have reasons to say something then.
    void on_request() noexcept { earn(per_request); }
    void on_body() noexcept { earn(per_body_frame); }

private:
    // A server says a few things when a connection begins, and hardly more than one in a second behind that.
    static constexpr std::uint32_t most_idle_frames = 512;
    static constexpr std::uint32_t per_second = 32;
    static constexpr std::uint32_t per_request = 16;
    // Some give each frame of a body back by a WINDOW_UPDATE of its own, for the stream and the connection.
    static constexpr std::uint32_t per_body_frame = 4;
    // What is measured by what comes anyway: some ping for each few KB of a body to learn the line's length.
    static constexpr std::uint32_t bytes_per_frame = 4096;
    // What a long upload earned may come in one go, of some 20 ms.
    static constexpr std::uint32_t most_earned = 1u << 16;

    void earn(std::uint32_t frames) noexcept;
    problem on_frame(steady_time now) noexcept;
    problem pay(char const* rule, steady_time now) noexcept;

    std::array<unsigned char, 9> head_{};
    std::size_t head_size_ = 0;  // of the frame head that is coming
    std::uint32_t payload_left_ = 0;
    std::uint32_t idle_frames_ = most_idle_frames;  // that may still come
    std::uint32_t earned_ = 0;                      // the same, for what was asked
    std::uint32_t body_bytes_ = 0;
    steady_time refilled_;
    std::uint64_t const max_block_;  // of headers, compressed
    std::uint32_t const max_continuations_;
    std::uint64_t block_ = 0;
    std::uint32_t continuations_ = 0;
};

}  // namespace jirapool::detail
