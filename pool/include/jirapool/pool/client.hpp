#pragma once

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/response.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/core/stats.hpp>
#include <jirapool/pool/params.hpp>
#include <jirapool/pool/streams.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/system_executor.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace jirapool {

namespace asio = boost::asio;

namespace detail {

class engine;
struct connection_entry;

/// What Asio is told to take for the executor of a handler that has none of its own.
class no_executor : public asio::system_executor {};

/// Where a completion handler is to be called: on an executor of its own, if it has one.
class handler_place {
public:
    handler_place() = default;
    template <class Handler>
    static handler_place of(Handler const& h) {
        using type = asio::associated_executor_t<Handler, no_executor>;
        handler_place p;
        if constexpr (!std::is_same_v<type, no_executor>) {
            type const ex = asio::get_associated_executor(h, no_executor());
            p.own = true;
            // Type-erased, it may still be ours.
            if constexpr (requires { ex.template target<no_executor>(); })
                p.own = ex.template target<no_executor>() == nullptr;
            if constexpr (std::is_constructible_v<asio::any_io_executor, type>)
                if (p.own) p.executor = asio::any_io_executor(ex);
        }
        return p;
    }

    bool own = false;
    asio::any_io_executor executor;  ///< its own; none where it is of a kind that does not tell its context
};

void start_call(std::shared_ptr<connection_entry> e, request r, body_streams b,
                asio::any_completion_handler<void(result<response>)> handler, handler_place place);
void start_drain(std::shared_ptr<engine> e, std::chrono::milliseconds patience,
                 asio::any_completion_handler<void(bool)> handler, handler_place place);
/// That of the site's shard, or of the first, while there is one.
asio::any_io_executor executor_of(connection_entry const& e);
asio::any_io_executor executor_of(engine const& e);

/// Has an executor, for tokens that need one.
class call_initiation {
public:
    using executor_type = asio::any_io_executor;

    explicit call_initiation(std::shared_ptr<connection_entry> e) noexcept : entry_(std::move(e)) {}
    executor_type get_executor() const { return executor_of(*entry_); }
    template <class Handler>
    void operator()(Handler&& handler, request r, body_streams b) const {
        auto const place = handler_place::of(handler);
        start_call(entry_, std::move(r), std::move(b),
                   asio::any_completion_handler<void(result<response>)>(std::forward<Handler>(handler)), place);
    }

private:
    std::shared_ptr<connection_entry> entry_;
};

class drain_initiation {
public:
    using executor_type = asio::any_io_executor;

    explicit drain_initiation(std::shared_ptr<engine> e) noexcept : engine_(std::move(e)) {}
    executor_type get_executor() const { return executor_of(*engine_); }
    template <class Handler>
    void operator()(Handler&& handler, std::chrono::milliseconds patience) const {
        auto const place = handler_place::of(handler);
        start_drain(engine_, patience, asio::any_completion_handler<void(bool)>(std::forward<Handler>(handler)), place);
    }

private:
    std::shared_ptr<engine> engine_;
};

}  // namespace detail

/** A handle to a configured connection of a client or runtime: small, copied freely.

    It stays valid after `replace` (calls then use the new secret) and after `remove` (calls then fail with
    connection_removed). It does not keep the client running.

    @par Threads   Any. */
class connection {
public:
    std::string const& id() const noexcept;
    connection_kind kind() const noexcept;

    /** Makes one call and completes with Jira's answer.

        @par Completes when   the answer was read whole, the deadline (request::timeout, else the connection's) passed, or
                              the operation was cancelled.
        @par Errors           invalid_target, invalid_header, body_not_allowed, invalid_argument (a timeout of 0 or less):
                              nothing was sent.
                              limited_past_deadline, queue_full: nothing was sent; failure::retry_after says when to come
                              back, if that is known.
                              credential_refused, token_unavailable: no token; nothing was sent.
                              anonymous_answer: Jira ignored the credential.
                              timeout, cancelled, channel_lost, …: failure::stage says where, failure::maybe_processed
                              whether Jira may have acted on it. An HTTP status is not an error: 404 is an answer.
                              boost::system::errc::not_enough_memory: likewise. To begin a call may throw std::bad_alloc:
                              then there is none.
        @par Cancellation     terminal, partial: at any moment; the channel is closed if bytes moved. total: until the first
                              byte is written. Of these a coroutine that awaits lets through what its own cancellation state
                              does: terminal alone, unless it says otherwise (asio::this_coro::reset_cancellation_state).
        @par Threads          Any. The call runs on its site's shard and resumes the caller on the caller's executor. */
    asio::awaitable<result<response>> call(request r) const;

    /** The same with a body that is streamed: `acme.call(std::move(download), std::make_shared<my_sink>(…))`. A body of that
        kind takes longer than most: mind request::timeout.

        @par Errors   Those of the sink and the source; sink_failed, source_failed; invalid_argument: the request has a body
                      beside its source. */
    asio::awaitable<result<response>> call(request r, body_streams b) const;

    /** The same for any completion token of signature void(result<response>): a callback, asio::use_future, asio::deferred,
        asio::cancel_after(5s) (Boost 1.86) and so on.

        @par Completes        once; on the handler's associated executor, if it has one of its own, else on the thread on
                              which the call ended, a shard's. Never before this returns, but for a handler without an
                              executor of its own when the client is stopped or gone: no other thread is left that could
                              call it, so it is called in here with `stopped`; a call that such a handler begins completes
                              behind it. Handlers that each begin the next call must look for `stopped`: else the first one
                              never returns.
        @par Cancellation     by the handler's associated slot, as `call`; emitted where the handler is called, or, when it
                              has no executor of its own, by any one thread. The slot is cleared before a handler with an
                              executor of its own is called; what stays in the slot of one without does nothing any more.
                              The signal may be destroyed before the call ends, and after all else.
        @par Lifetime         neither the client nor this handle need to outlive the call. If the context of the handler's
                              executor is destroyed first, the handler is destroyed uncalled, and the call cancelled. A
                              handler without one belongs to the client's executor. */
    template <class CompletionToken>
    auto async_call(request r, CompletionToken&& token) const {
        return async_call(std::move(r), body_streams(), std::forward<CompletionToken>(token));
    }
    template <class CompletionToken>
    auto async_call(request r, body_streams b, CompletionToken&& token) const {
        return asio::async_initiate<CompletionToken, void(result<response>)>(detail::call_initiation(entry_), token,
                                                                             std::move(r), std::move(b));
    }

private:
    friend class detail::engine;

    explicit connection(std::shared_ptr<detail::connection_entry> entry) noexcept : entry_(std::move(entry)) {}
    static asio::awaitable<result<response>> await_call(connection self, request r, body_streams b);

    std::shared_ptr<detail::connection_entry> entry_;
};

/** What client and runtime have in common: the registry of connections and what is counted.

    @par Threads   Any function from any thread. */
class connections {
public:
    /** Adds a connection. Its first access token and its site's cloud ID are fetched at once, in the background.
        Errors: duplicate_id, stopped, and those of make_connection_config. */
    result<connection> add(std::string id, credential c, connection_options o = {});
    result<connection> add(connection_config c);

    /** Replaces a connection's secret (and e-mail, client id, options): the same id, kind and site. Calls in flight end
        with the old one; an OAuth token that is still valid stays in use while the new secret is exchanged.
        Errors: invalid_argument when there is no such id, or kind or site differ: remove and add then. */
    result<connection> replace(connection_config c);

    /// Calls that wait end with connection_removed; those on the wire finish. False: there was none.
    bool remove(std::string_view id);

    /** Ends every pause that keeps the connection's site, its account or its app's points waiting, as if its time had come: one
        call goes into each, and its answer opens it or closes it again. For an operator who knows that Jira is well. What is
        learned of rates stays. False: there is no such id. Throws bad_alloc, and has done nothing then. */
    bool reset_limits(std::string_view id);

    std::optional<connection> find(std::string_view id) const;
    std::size_t size() const;

    /// The counters of each shard, alive and readable for as long as somebody holds them.
    std::vector<std::shared_ptr<shard_stats const>> stats() const;

    /** Ends gracefully: new calls end with `stopped` at once, those in flight go on, waits and resends included. When none is
        left, or `patience` is over, `stop` ends the rest. Completes with true when nothing was cut off.

        @par Errors           none: false when calls were cut off, `stop` came before without a drain, or memory ran out. Behind a
                              drain that has ended it says what is true then: no call is left.
        @par Cancellation     as if the patience were over. Patience below 0 is 0.
        @par Threads, Lifetime   As connection::async_call. */
    asio::awaitable<bool> drain(std::chrono::milliseconds patience);
    /// The same for any completion token of signature void(bool): `jira.async_drain(10s, asio::use_future).get()`.
    template <class CompletionToken>
    auto async_drain(std::chrono::milliseconds patience, CompletionToken&& token) {
        return asio::async_initiate<CompletionToken, void(bool)>(detail::drain_initiation(engine_), token, patience);
    }

    /** Ends everything: calls that wait or are on the wire complete with `stopped`, channels are closed, background work
        ends. Returns at once; the executor must go on to run for the completions. Idempotent. Calls that begin later end
        with `stopped` whether it runs or not. */
    void stop() noexcept;

protected:
    explicit connections(std::shared_ptr<detail::engine> e) noexcept : engine_(std::move(e)) {}
    ~connections() = default;
    connections(connections const&) = delete;
    connections& operator=(connections const&) = delete;

    std::shared_ptr<detail::engine> engine_;
};

/** Jira connections inside a service that has an executor of its own: one shard, no threads.

    It makes a strand of its executor for itself, unless `executor_is_serial`: say so where one thread runs the executor, or where
    it is a strand already. Then calls that are awaited on it cross nothing, and lack of memory ends calls as `call` says. As long as a client exists it has work outstanding (renewing tokens), so `io_context::run` returns
    only after `stop`.

    @par Lifetime   The client, its executor's context, handles, calls and their signals may be destroyed in any order and from
                    any handler, the client's own too. With the client, calls in flight end with `stopped`, as its executor
                    runs on. With the context, before or behind the client, what is in flight ends at once: a handler with an
                    executor of another context is called there, with `stopped`; those of the context itself, and those
                    without an executor, are destroyed uncalled, as Asio does it. Later calls end with `stopped`.
    @par Exceptions What a completion handler throws leaves the executor's run(), as Asio does it; nothing of the client
                    minds. */
class client : public connections {
public:
    /// Throws std::invalid_argument when why_invalid(p) names a rule, the executor is empty, or the CA file cannot be read.
    /// boost::system::system_error when no descriptor is left for the timer.
    explicit client(asio::any_io_executor executor, client_params p = {});
    template <class ExecutionContext>
        requires requires(ExecutionContext& c) { c.get_executor(); }
    explicit client(ExecutionContext& context, client_params p = {})
        : client(asio::any_io_executor(context.get_executor()), std::move(p)) {}
    /// Stops it.
    ~client();
};

}  // namespace jirapool
