#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <variant>

namespace jirapool {

/** Something that is known of a span. Where OpenTelemetry's semantic conventions for HTTP client spans have a name for it, it has
    that name and type; names of ours begin with "jira". None holds a target, a query, an issue's key, a body or a secret, so there
    is no `url.full`.

    At a start: `http.request.method`, `url.template` ("/rest/api/{version}/issue/{issueIdOrKey}"; absent for paths of no known
    route), `server.address`, `server.port`, `jirapool.connection` (its id). Of an exchange also `network.protocol.version` and,
    unless it is the call's first, `http.request.resend_count` and `jirapool.resend_reason` ("limited").

    At an end: `http.response.status_code` and `jira.trace_id` where there is an answer; `error.type` for an answer of 400 or more
    (its status) and where there is none ("timeout", an errc's name). Of a call also `jirapool.exchanges`, how many it made on its
    shard. */
struct span_attribute {
    std::string_view name;
    std::variant<std::string_view, std::int64_t> value;
};

/// A span that begins.
struct span_start {
    /// What it spans.
    enum class kind : std::uint8_t {
        call,      ///< a call on its shard: all waits and exchanges
        exchange,  ///< one request and its answer on the wire: an HTTP client span
    };
    kind what = kind::call;
    /// Unique in the process, never 0.
    std::uint64_t id = 0;
    /// The id of the call that the exchange belongs to; of a call its own.
    std::uint64_t call = 0;
    /// Of the span around it, well-formed: of a call what its request gave (request::traceparent), of an exchange that of its
    /// call's span, or in its place the request's. Empty: there is none.
    std::string_view traceparent;
    /// What the request gave (request::tracestate).
    std::string_view tracestate;
    std::span<span_attribute const> attributes;
};

/** A span of a listener's that has begun and not ended yet.

    @par Threads   As said for span_listener. It is destroyed behind its end. */
class open_span {
public:
    virtual ~open_span() = default;

    /** The span's own traceparent, asked for once, behind its start. That of an exchange is sent in place of the request's; that of
        a call is what its exchanges begin with, and is sent where those have none of their own. The request's tracestate goes
        along. Empty, or one that why_invalid_traceparent (core/trace_context.hpp) refuses: none. */
    virtual std::string_view traceparent() const noexcept { return {}; }

    /// The span is over: called once, whatever ended it. What the views refer to lives until this returns.
    virtual void end(std::span<span_attribute const> attributes) = 0;
};

/** Is told of the start and the end of each call and of each exchange, for traces (client_params::spans).

    A call is told of from where it begins on its shard: one that its client is too late for (stopped, connection_removed) or that
    was cancelled before has no span. One that goes on on another shard, as its site turned out to be there, has a second call's
    span there, within its own. Of two exchanges beside one another (retry_params::hedge_after) the slower one may end behind the
    call. What the library asks for itself, tokens and cloud IDs, is no call.

    @par Threads      It is called on the thread of the call's shard, or on the one that destroys its context, which ends what is
                      open with `stopped`; on several at the same time where there are several shards. It must not block, nor
                      run the executor.
    @par Reentrancy   It may call whatever `connections` and `connection` have, `stop` too, and end its client. A call that it
                      makes has spans as well.
    @par Exceptions   What it throws is ignored: a span whose start threw is none. */
class span_listener {
public:
    virtual ~span_listener() = default;
    /// Null: nobody wants to know more of this span.
    virtual std::unique_ptr<open_span> start(span_start const& s) = 0;
};

}  // namespace jirapool
