#pragma once

#include "wire/http2_frame_meter.hpp"

#include <jirapool/core/result.hpp>
#include <jirapool/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

struct nghttp2_session;

namespace jirapool::detail {

/// A field of a request. What it points to stays until the stream ends or its request was taken.
struct http2_field {
    std::string_view name;
    std::string_view value;
    bool own_name = false;    ///< it is a literal in lower case; else it is copied and made so
    bool may_be_kept = true;  ///< by who compresses, here and on the way, to be named by a number in the next request
};

/// What a session asks of its server, and bears from it.
struct http2_limits {
    std::uint32_t stream_window = 0;
    std::uint32_t channel_window = 0;
    std::uint32_t max_head = 0;
    std::uint32_t max_headers = 0;
    std::uint32_t max_streams = 0;
    std::uint32_t first_stream = 1;  ///< odd; of 2^30 that there are, for tests of their end
    /// How many streams the server is taken to allow before it says how many it does. RFC 9113, section 6.5.2, recommends no fewer.
    std::uint32_t expected_streams = 100;
};

class http2_session;

/** A request and its answer, as the session sees them. What it is told is told from within the session, of which nothing may be called
    then, and may throw bad_alloc: that is told as well, and ends the stream. */
class http2_stream {
public:
    static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

    /// It may be reset, or gets something.
    bool open() const noexcept { return id_ != 0; }
    /// Where its request begins and ends in what was taken of the session, in bytes; `never`: not taken yet.
    std::uint64_t begins_at() const noexcept { return begins_at_; }
    std::uint64_t ends_at() const noexcept { return ends_at_; }
    /// Bytes of its frames.
    std::uint64_t sent() const noexcept { return sent_; }
    std::uint64_t received() const noexcept { return received_; }

protected:
    http2_stream() = default;
    http2_stream(http2_stream const&) = delete;
    http2_stream& operator=(http2_stream const&) = delete;
    ~http2_stream() = default;

    enum class verdict : std::uint8_t {
        good,
        taken,      ///< good, and the bytes are done with: others may come in their place
        malformed,  ///< the stream is reset, and hears nothing more
        unwanted,   ///< the same, though there is nothing wrong with it
    };

private:
    friend class http2_session;
    virtual verdict on_block() = 0;  ///< a head or trailers begin
    virtual verdict on_field(std::string_view name, std::string_view value) = 0;
    virtual verdict on_block_end(bool last) = 0;
    virtual verdict on_data(std::string_view bytes) = 0;
    /// The answer is whole.
    virtual verdict on_end() = 0;
    /// It is closed with this code of RFC 9113, section 7, and nothing more is told: by the server, or because what that sent for it
    /// breaks the rules.
    virtual void on_closed(std::uint32_t code, bool by_server) noexcept = 0;
    virtual void on_lack_of_memory() noexcept = 0;
    /// The next bytes of the request's body. None, and not `last`: they are not there yet (http2_session::resume).
    virtual std::size_t read_body(char* to, std::size_t room, bool& last) noexcept = 0;
    /// The request's last byte was taken.
    virtual void on_request_taken() noexcept = 0;

    std::int32_t id_ = 0;
    std::int32_t room_ = 0;  // that is to be given back
    std::uint64_t begins_at_ = never;
    std::uint64_t ends_at_ = never;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
};

/// The name that RFC 9113, section 7, has for a code, "REFUSED_STREAM".
char const* http2_error_name(std::uint32_t code) noexcept;

inline constexpr std::uint32_t http2_no_error = 0x0;
inline constexpr std::uint32_t http2_refused_stream = 0x7;
inline constexpr std::uint32_t http2_http_1_1_required = 0xd;

/** Where nghttp2's memory comes from: where all of ours does, so that what lacks it can be tested, and is counted. An exchange asks for the
    same few small blocks as the one before: those that are free are kept for it until `give_back`. */
class http2_memory {
public:
    http2_memory() = default;
    ~http2_memory() { give_back(); }
    http2_memory(http2_memory const&) = delete;
    http2_memory& operator=(http2_memory const&) = delete;

    /// Null: there is none.
    void* allocate(std::size_t size) noexcept;
    void* reallocate(void* p, std::size_t size) noexcept;
    void release(void* p) noexcept;
    void give_back() noexcept;

private:
    static constexpr std::size_t step = 32;
    static constexpr std::size_t kinds = 17;  // up to 512 bytes

    struct spare {
        spare* next;
    };
    static std::size_t kind_of(std::size_t size) noexcept { return (size + step - 1) / step; }

    std::array<spare*, kinds> spares_{};
};

/** HTTP/2's client side (RFC 9113) on one connection, as nghttp2 has it: the only place that names that. Sans-I/O: bytes in through `put`,
    bytes out through `take`, and streams are told. Nothing is pushed. A stream's window is given back as its owner takes what came, the
    connection's at once, so that an owner who is slow holds up nobody else.

    What the server breaks ends the whole of it: `take` gives a last word to send, and `error` says why. */
class http2_session final : private http2_wanted {
public:
    /// Throws bad_alloc.
    http2_session(http2_limits const& l, steady_time now);
    ~http2_session();
    http2_session(http2_session const&) = delete;
    http2_session& operator=(http2_session const&) = delete;

    /// What came. Nothing is done with it once it has failed.
    void put(std::string_view bytes, steady_time now) noexcept;
    /// What is to be sent next, at most `room` bytes; 0: nothing. Each byte is given once.
    std::size_t take(char* to, std::size_t room) noexcept;
    /// Bytes that were taken so far.
    std::uint64_t taken() const noexcept { return taken_; }

    /// Another stream may begin, as far as numbers and the server's word go.
    bool may_begin() const noexcept;
    /// How many streams may be open at once: what the server said last, or is taken to say before it spoke.
    std::uint32_t max_streams() const noexcept;

    /// Begins a stream, which must be ended before it is destroyed. Throws bad_alloc; nothing was begun then.
    /// @return false: none may begin.
    bool begin(http2_stream& s, std::span<http2_field const> fields, bool has_body);
    /// Nobody wants it any more: resets it when it is open. Nothing more is told.
    void end(http2_stream& s) noexcept;
    /// There is something for read_body.
    void resume(http2_stream& s) noexcept;
    /// So much of what on_data called good is done with: at most a window.
    void give_back(http2_stream& s, std::size_t bytes) noexcept;
    /// The server gives it, or the whole connection, no room for more of the request's body.
    bool held_back(http2_stream const& s) const noexcept;
    /// Whether the server's end works: it must answer.
    void ping() noexcept;
    /// Says that nothing more comes.
    void leave() noexcept;
    /// Gives back the memory that is kept for what comes next.
    void rest() noexcept { memory_.give_back(); }

    /// No code: it goes on.
    failure const& error() const noexcept { return error_; }
    /// Whether that came of what the server sent for this stream. Of most breaches nobody can say.
    bool blames(http2_stream const& s) const noexcept { return s.open() && s.id_ == blamed_; }
    /// The server said that it begins nothing more here.
    bool told_to_leave() const noexcept { return told_to_leave_; }
    /// Whether it did so for want of HTTP/1.1 since this was asked last.
    bool take_wants_http1() noexcept { return std::exchange(wants_http1_, false); }
    /// It said so with NO_ERROR, and acts on what came first.
    bool ends_in_order() const noexcept { return told_to_leave_ && in_order_ && acts_on_some_; }
    /// What it said then, "GOAWAY: ENHANCE_YOUR_CALM"; empty before.
    std::string const& parting_words() const noexcept { return parting_words_; }

private:
    struct callbacks;

    http2_stream* stream_of(std::int32_t id) const noexcept;
    bool wanted(std::uint32_t stream) const noexcept override;
    void forget(http2_stream& s) noexcept;
    void on_reset() noexcept;
    void refuse(http2_stream& s, http2_stream::verdict why) noexcept;
    template <class F>
    http2_stream::verdict tell(http2_stream& s, F&& f) noexcept;
    void on_goaway(std::uint32_t code, std::int32_t last_stream) noexcept;
    void look_at(std::string_view frame) noexcept;
    bool next_frame() noexcept;
    void fail(errc code, std::string_view words, std::string_view more = {}) noexcept;
    void check(int result) noexcept;

    http2_memory memory_;
    nghttp2_session* session_ = nullptr;
    http2_frame_meter meter_;
    http2_limits const limits_;
    std::string_view frame_;  // what is left of the one that is being taken
    std::uint64_t taken_ = 0;
    std::int32_t blamed_ = 0;
    bool ends_with_head_ = false;
    bool preface_taken_ = false;
    bool wipes_frame_ = false;
    bool reset_by_server_ = false;  // the stream that is being closed
    bool told_to_leave_ = false;
    bool wants_http1_ = false;
    bool in_order_ = true;
    bool acts_on_some_ = false;  // it answered, or says of which streams it does
    std::string parting_words_;
    failure error_;
};

}  // namespace jirapool::detail
