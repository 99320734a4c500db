#pragma once

#include <jirapool/core/error.hpp>
#include <jirapool/core/response.hpp>
#include <jirapool/core/result.hpp>

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool {

namespace asio = boost::asio;

/** Where a call writes the body of a good answer, piece by piece, in place of response::body(): for bodies that are too large
    to hold. While `write` runs nothing more is read, so a slow sink slows the server down, and nothing else.

    A sink gets the body of a 2xx answer, decoded; that of any other status, and of an answer as to anybody (anonymous_answer), is
    in the response as always, bounded by wire_params::max_body. The order is begin, write for each piece, end. A call that
    fails before the body's end does not say so to its sink: what is unfinished when the sink is destroyed, failed.

    @par Errors      What `begin`, `write` or `end` return ends the call with that code; an exception with sink_failed. The
                     channel is closed and the request not sent again.
    @par Limits      max_body does not hold: the sink decides. body_timeout is for each piece and begins anew behind it, min_rate
                     for the time outside of the sink; the call's deadline is for all, the sink's time with it.
    @par Threads     A sink runs on the shard's executor, a client's own or one of a runtime's threads, and must not block it:
                     nothing can end a function that does not return.
    @par Re-entry    A sink may call the client, add, replace and remove connections, and stop, drain or destroy it. A call that it
                     waits for takes a channel beside its own; where all of an origin's channels are held by such sinks, these
                     wait for one another until their deadlines.
    @par Lifetime    A sink is held until the call has ended, and until a `write` or `end` that was cancelled in the middle has. These
                     get terminal cancellation when the call's deadline passes, it is cancelled or its client stops; the
                     call does not wait for them then. One that heeds no cancellation holds up the end of a runtime, by half
                     a second. A sink serves one call at a time. */
class body_sink {
public:
    body_sink() = default;
    body_sink(body_sink const&) = delete;
    body_sink& operator=(body_sink const&) = delete;
    virtual ~body_sink() = default;

    /// Told that the body begins: `head` has the answer's status and headers. It is called once more when can_restart let the
    /// request be sent again: then what was written before is void.
    virtual error_code begin([[maybe_unused]] response const& head) { return {}; }
    /// Takes the next piece: 1 byte to 64 KiB, which is there until the coroutine ends.
    virtual asio::awaitable<error_code> write(std::string_view piece) = 0;
    /// Told that the body is whole.
    virtual asio::awaitable<error_code> end() { co_return error_code(); }

    /// Whether the body may come again from its start after a channel was lost in the middle of it. It is asked only when a
    /// piece was written, and for requests that may be sent twice.
    virtual bool can_restart() const noexcept { return false; }

    /// What the code that `begin`, `write` or `end` just returned is about, for failure::rule: "/srv/x.json: File exists". Where it
    /// is empty, the library has a sentence of its own. It must hold no secret, as it comes into logs.
    virtual std::string why() const { return {}; }
};

/** Where a call reads its request's body from, in place of request::body(): for bodies that are too large to hold. The type is
    the request's: `request::post(target).body({}, "multipart/form-data; boundary=…")`.

    @par Errors      What `read` returns ends the call with that failure; an exception, too few bytes or more than were asked
                     for with source_failed. failure::maybe_processed is false when nothing was sent yet: the first piece is
                     read before that. The channel is closed and the request not sent again.
    @par Limits      write_timeout is for each piece, less the time in the source; the call's deadline for all.
    @par Threads, Re-entry, Lifetime   As for body_sink. */
class body_source {
public:
    body_source() = default;
    body_source(body_source const&) = delete;
    body_source& operator=(body_source const&) = delete;
    virtual ~body_source() = default;

    /// The bytes of the whole body: Content-Length. It is the same at all times.
    virtual std::uint64_t size() const noexcept = 0;
    /// Puts the next bytes to `to` and completes with how many: 1 to `max`, which is at most 64 KiB and what is left.
    virtual asio::awaitable<result<std::size_t>> read(char* to, std::size_t max) = 0;
    /// Goes back to the start, so that the body is sent again (after a 429, a 503, an expired token, a lost channel). False says
    /// that it cannot, and the call ends with what it has.
    virtual bool rewind() noexcept = 0;
};

/// A call's source and sink, of which either may be null. A shared pointer to one of them converts to it.
class body_streams {
public:
    body_streams() = default;
    body_streams(std::shared_ptr<body_source> from, std::shared_ptr<body_sink> to) noexcept
        : source(std::move(from)), sink(std::move(to)) {}
    template <std::derived_from<body_sink> Sink>
    body_streams(std::shared_ptr<Sink> to) noexcept : sink(std::move(to)) {}  // NOLINT(google-explicit-constructor)
    template <std::derived_from<body_source> Source>
    body_streams(std::shared_ptr<Source> from) noexcept  // NOLINT(google-explicit-constructor)
        : source(std::move(from)) {}

    std::shared_ptr<body_source> source;
    std::shared_ptr<body_sink> sink;
};

}  // namespace jirapool
