#pragma once

#include <jirapool/core/client_totals.hpp>
#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/connection_status.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/response.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/pool/params.hpp>
#include <jirapool/pool/streams.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/use_future.hpp>

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

class connection;
class connections_watch;
class overview;
struct shard_stats;

namespace detail {

class engine;
struct stats_access;
struct connection_entry;

/// What Asio is told to take for the executor of a handler that has none of its own.
class no_executor : public asio::system_executor {};

/// The executor of what completes a future: Asio has no other name for it.
template <class Executor>
inline constexpr bool is_of_future = false;
template <class Result, class Blocking>
inline constexpr bool is_of_future<asio::detail::promise_executor<Result, Blocking>> = true;

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
            p.of_future = is_of_future<type>;
            // Type-erased, it may still be ours.
            if constexpr (requires { ex.template target<no_executor>(); })
                p.own = ex.template target<no_executor>() == nullptr;
            if constexpr (std::is_constructible_v<asio::any_io_executor, type>)
                if (p.own) p.executor = asio::any_io_executor(ex);
        }
        return p;
    }

    bool own = false;
    bool of_future = false;          ///< whatever thread has the result will do
    asio::any_io_executor executor;  ///< its own; none where it is of a kind that does not tell its context
};

void start_call(std::shared_ptr<connection_entry> e, request r, body_streams b,
                asio::any_completion_handler<void(result<response>)> handler, handler_place place);
void start_drain(std::shared_ptr<engine> e, std::chrono::milliseconds patience,
                 asio::any_completion_handler<void(bool)> handler, handler_place place);
/// Tells client_params::on_event what happened to the connection, on its shard; nothing when that is gone, or memory lacks.
void report(connection const& c, event e) noexcept;
/// The executor of the connection's shard, or the system's once that is gone.
asio::any_io_executor executor_of(connection_entry const& e);
/// The executor of the first shard, or the system's once that is gone.
asio::any_io_executor executor_of(engine const& e);

/// What begins a call, with an executor for tokens that need one.
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

/// What begins a drain, likewise.
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

    A handle stays valid after `replace` (calls then use the new secret) and after `remove` (calls then fail with
    connection_removed). It does not keep the client running.

    @par Threads   All functions may be called from any thread. */
class connection {
public:
    /// The id under which the connection was added.
    std::string const& id() const noexcept;
    /// The kind of credential that the connection has.
    connection_kind kind() const noexcept;
    /// The host that its requests and credential go to.
    std::string_view host() const noexcept;
    /// Its site, as it was configured: the cloud ID, or for a personal API token the site's host.
    std::string_view site() const noexcept;

    /** Whether it works, since when, and if not, whose move it is: what the answers so far have shown. It asks nobody, and costs some
        nanoseconds. */
    connection_status status() const noexcept;

    /** Finds out whether the connection works, by `GET /rest/api/3/myself` on the same road as any call (request::check), also while
        a refused credential rests.

        @return the state behind it; or why Jira could not be asked, as the errors of `call`: stopped, timeout, connect_failed, ….
        @par Cancellation, Threads, Lifetime   As for call. For other completion tokens: `async_call(request::check(), token)`, and
                      then status. */
    asio::awaitable<result<connection_status>> verify() const;

    /** Makes one call when it is awaited, and completes with Jira's answer or with why there is none.

        @par Completes when   the answer was read whole, the deadline (request::timeout, else the connection's) passed, or
                              the call was cancelled. An HTTP status is not an error: 404 is an answer. What a failure says
                              beside its code: failure::stage where the call was, failure::maybe_processed whether Jira may
                              have acted on it, failure::retry_after when a new call can work, if that is known.
                              "Nothing was sent" is said below of the exchange that was to come; of earlier ones of the same call
                              maybe_processed tells.

        @par Errors of the request (nothing was sent)
        - invalid_target: the target leaves the connection's base path, or is not one that why_invalid(request) lets through.
        - invalid_header: a header is malformed, or one that the library sets.
        - body_not_allowed: a GET or HEAD has a body.
        - invalid_argument: the timeout is 0 or less, or the priority is no enumerator. failure::rule says which.

        @par Errors of the client
        - cancelled: the caller cancelled the call.
        - stopped: the client is stopped, draining or gone.
        - connection_removed: `remove` came before the call, or while it waited.
        - queue_full: limit_params::max_waiting calls of the site wait for permits already, or pool_params::max_queue calls, of
          one site its share of them, for channels.
        - limited_past_deadline: one of Jira's limits lets the call through only when it would be too late.
        - boost::system::errc::not_enough_memory: memory ran out; nothing else is changed by it.

        @par Errors of the credential
        - credential_refused: the token endpoint refused the credential for good, or Jira did: status() says which. Such a credential
          rests, so nothing was sent; failure::retry_after says when it is tried again.
        - token_unavailable: no valid token was had in time, or the endpoint's certificate is refused. Nothing was sent.
        - anonymous_answer: Jira ignored the credential, and answered as to anybody. A credential that is refused with 401 is an
          answer; from then on calls end with credential_refused, once `myself` was refused as well.

        @par Errors of the network
        - resolve_failed, connect_failed, tls_failed: no channel to the origin could be opened until the deadline, or for
          retry_params::max_exchanges dials. Nothing was sent.
        - certificate_refused: the server's certificate is not valid for the origin. Nothing was sent.
        - timeout: the deadline passed, or the limit of one step (wire_params); failure::rule says which.
        - channel_lost: the transport ended before the answer was whole, and the request could not be sent again: it may act
          twice, or retry_params allow no more.
        - protocol_error: the answer is not valid HTTP. response_too_large: it is over a limit of wire_params. Neither is
          sent again. Over HTTP/2 the calls beside such an answer, or beside a breach that is no answer's, lose their channel at most.

        @par Cancellation     terminal and partial are heeded at any moment, and close the channel if bytes moved; total until
                              the first byte is written. Of these a coroutine that awaits lets through what its own
                              cancellation state does: terminal alone, unless it says otherwise
                              (asio::this_coro::reset_cancellation_state). The call then ends with `cancelled`; it does not
                              throw. A coroutine that was cancelled before does not come to begin the call: Asio throws
                              operation_aborted where it awaits, unless this_coro::throw_if_cancelled is false.

        @par Threads          A call may be made from any thread. It runs on its site's shard and resumes the caller on the
                              caller's executor.
        @par Inline completion   In a coroutine on the client's own executor nothing is crossed: the call runs in that
                              coroutine, and one that has nothing to wait for (a malformed request) goes on without a turn
                              of the executor.
        @par Lifetime         The request is moved into the call, and the handle copied: neither needs to outlive it, nor
                              does the client, with which the call ends. */
    asio::awaitable<result<response>> call(request r) const;

    /** Makes a call with a body that is streamed, by a source, a sink or both: `acme.call(std::move(download),
        std::make_shared<my_sink>(…))`. A body of that kind takes longer than most: mind request::timeout. All else is as for
        the call without.

        @par Errors   Beside those of a call:
        - the codes that the sink or the source returned, as they are;
        - sink_failed, source_failed: it threw; or the source ended before its size or gave more than it was asked for;
        - invalid_argument: the request has a body beside its source; body_not_allowed: a GET or HEAD has a source. */
    asio::awaitable<result<response>> call(request r, body_streams b) const;

    /** Begins a call at once and completes by any completion token of signature void(result<response>): a callback,
        asio::use_future, asio::deferred, asio::cancel_after(5s) (Boost 1.86) and so on.

        @par Completes        Once, when `call` would, and with the same errors.
        @par Lack of memory   To begin a call may throw std::bad_alloc: then there is none. A coroutine that awaits this by
                              asio::use_awaitable is lost then, as with Asio's own operations: it is suspended already. `call`
                              is what to await.
        @par Threads          A call may be begun from any thread. The handler is called on its associated executor, if it has
                              one of its own; else on the thread on which the call ended, which is the client's executor or one
                              of a runtime's threads.
        @par Inline completion   The handler is never called before this function returns, with one exception: when the client
                              is stopped or gone, no other thread is left that could call a handler without an executor of its
                              own, so it is called in here, with `stopped`. The function of asio::use_future(function) is one. A
                              call that such a handler begins completes behind it. Handlers that each begin the next call must
                              look for `stopped`, or the first one never returns.
        @par Cancellation     The handler's associated slot is heeded, with the types of `call`. The signal is to be emitted
                              where the handler is called, or, when it has no executor of its own, by any one thread. The slot
                              is cleared before a handler with an executor of its own is called; what stays in the slot of one
                              without does nothing any more. The signal may be destroyed before the call ends, and after all
                              else.
        @par Lifetime         Neither the client nor this handle needs to outlive the call. If the context of the handler's
                              executor is destroyed first, the handler is destroyed uncalled, and the call is cancelled. A
                              handler without one belongs to the client's executor. */
    template <class CompletionToken>
    auto async_call(request r, CompletionToken&& token) const {
        return async_call(std::move(r), body_streams(), std::forward<CompletionToken>(token));
    }
    /// Begins a call with a body that is streamed: errors as for `call` with streams, all else as for async_call.
    template <class CompletionToken>
    auto async_call(request r, body_streams b, CompletionToken&& token) const {
        return asio::async_initiate<CompletionToken, void(result<response>)>(detail::call_initiation(entry_), token,
                                                                             std::move(r), std::move(b));
    }

private:
    friend class detail::engine;

    explicit connection(std::shared_ptr<detail::connection_entry> entry) noexcept : entry_(std::move(entry)) {}
    static asio::awaitable<result<response>> await_call(connection self, request r, body_streams b);
    static asio::awaitable<result<connection_status>> await_verify(connection self);

    std::shared_ptr<detail::connection_entry> entry_;
};

/** What client and runtime have in common: the registry of connections, and what is counted.

    @par Threads   All functions may be called from any thread. */
class connections {
public:
    /** Adds a connection. Its first access token and its site's cloud ID are fetched at once, in the background.

        @par Errors   duplicate_id: there is a connection of that id. stopped: the client is stopped. Those of
                      make_connection_config: a field breaks its rule. */
    result<connection> add(std::string id, credential c, connection_options o = {});
    /// Adds a connection that was checked before, as one of a file. Its errors are duplicate_id, stopped, and invalid_argument for
    /// one that was moved from.
    result<connection> add(connection_config c);

    /** Replaces a connection's secret (and e-mail, client id, options), while its id, kind and site stay. Calls in flight end
        with the old secret; an OAuth token that is still valid stays in use while the new secret is exchanged. A connection that did
        not work is checked at once.

        @par Errors   invalid_argument: there is no such id, or kind or site differ; remove and add then. stopped: the client is
                      stopped. */
    result<connection> replace(connection_config c);

    /** Removes a connection. Its calls on the wire finish. Those that wait end with connection_removed: for a permit, a token or a
        channel at once, between two exchanges when the next one is due. One that was answered before, with 429 or 503, ends with that
        answer instead. Throws std::bad_alloc, and has done nothing then.

        @return false when there is none of that id. */
    bool remove(std::string_view id);

    /** Ends every pause that keeps the connection's site, its account or its app's points waiting, as if its time had come: one
        call goes into each of the site and its routes, and its answer opens it or closes it again; what waits for points goes until
        an answer says that there are none. It is for an operator who knows that Jira is well. What is learned of rates stays.

        @return false when there is no such id. Throws std::bad_alloc, and has done nothing then. */
    bool reset_limits(std::string_view id);

    /// The connection of that id, or nothing when there is none.
    std::optional<connection> find(std::string_view id) const;
    /// The number of connections.
    std::size_t size() const;
    /// A handle to each connection, in the order of their ids. What they tell of it holds no secret. Throws std::bad_alloc.
    std::vector<connection> list() const;

    /// What the client counted so far, and what there is. Throws std::bad_alloc.
    client_totals totals() const;

    /// What the client tells of itself (jirapool/core/overview.hpp): its totals, its sites and connections, those in trouble. It may
    /// outlive the client.
    /// Throws std::bad_alloc.
    std::shared_ptr<jirapool::overview const> overview() const;

    /** Ends gracefully: new calls end with `stopped` at once, those in flight go on, waits and resends included. When none is
        left, or `patience` is over, `stop` ends the rest.

        @par Completes        With true when nothing was cut off. False says that calls were cut off, that `stop` came before
                              without a drain, or that memory ran out. Behind a drain that has ended it says what is true then:
                              no call is left.
        @par Errors           None.
        @par Cancellation     A drain that is cancelled goes on as if the patience were over. Patience below 0 is 0.
        @par Threads, Lifetime, Inline completion   As for connection::async_call. */
    asio::awaitable<bool> drain(std::chrono::milliseconds patience);
    /// Drains, and completes by any completion token of signature void(bool): `jira.async_drain(10s, asio::use_future).get()`.
    template <class CompletionToken>
    auto async_drain(std::chrono::milliseconds patience, CompletionToken&& token) {
        return asio::async_initiate<CompletionToken, void(bool)>(detail::drain_initiation(engine_), token, patience);
    }

    /** Ends everything: calls that wait or are on the wire complete with `stopped`, channels are closed, background work
        ends. It returns at once; the executor must go on to run for the completions. To call it twice is as good as once. Calls
        that begin later end with `stopped`, whether the executor runs or not. */
    void stop() noexcept;

protected:
    explicit connections(std::shared_ptr<detail::engine> e) noexcept : engine_(std::move(e)) {}
    ~connections() = default;
    connections(connections const&) = delete;
    connections& operator=(connections const&) = delete;

    std::shared_ptr<detail::engine> engine_;

private:
    friend class connections_watch;
    friend struct detail::stats_access;

    std::vector<std::shared_ptr<shard_stats const>> stats() const;
    static asio::awaitable<bool> await_drain(std::shared_ptr<detail::engine> e, std::chrono::milliseconds patience);
};

/** Jira connections inside a service that has an executor of its own: one shard, no threads.

    The client makes a strand of its executor for itself, unless `executor_is_serial` says that this is not needed: where one
    thread runs the executor, or where it is a strand already. Then calls that are awaited on it cross nothing, and lack of memory
    ends calls as `call` says. As long as a client exists it has work outstanding (renewing tokens), so `io_context::run`
    returns only after `stop`. A coroutine that races a call with Asio's awaitable operators (`call || timer`) must itself run on
    one thread or a strand, whatever the client has: they are not made for two branches that end on two threads at once.

    @par Lifetime   The client, its executor's context, handles, calls and their signals may be destroyed in any order and from
                    any handler, the client's own too. With the client, calls in flight end with `stopped`, as its executor
                    runs on. With the context, before or behind the client, what is in flight ends at once: a handler with an
                    executor of another context is called there, with `stopped`; those of the context itself, and those
                    without an executor, are destroyed uncalled, as Asio does it. Later calls end with `stopped`.
    @par Exceptions What a completion handler throws leaves the executor's run(), as Asio does it: as
                    asio::multiple_exceptions where handlers of one turn throw, as those of calls that end together may.
                    Nothing of the client minds. */
class client : public connections {
public:
    /// Makes a client on the executor. Throws std::invalid_argument when why_invalid(p) names a rule, the executor is empty, or
    /// the CA file cannot be read, and boost::system::system_error when no descriptor is left for its timer and epoll.
    explicit client(asio::any_io_executor executor, client_params p = {});
    /// Makes a client on the executor of an io_context or thread_pool, as above.
    template <class ExecutionContext>
        requires requires(ExecutionContext& c) { c.get_executor(); }
    explicit client(ExecutionContext& context, client_params p = {})
        : client(asio::any_io_executor(context.get_executor()), std::move(p)) {}
    /// Stops the client, as `stop` does.
    ~client();
};

}  // namespace jirapool
