#pragma once

#include <jirapool/core/secret.hpp>
#include <jirapool/pool/params.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace jirapool {

namespace asio = boost::asio;

/// Where events go, and how.
struct event_webhook_params {
    /// The receiver: an absolute https URL, such as "https://hooks.acme.example:8443/jira?key=1". It may have a port and a query; user
    /// info and a fragment are refused. Its certificate is checked as Jira's is.
    std::string url;
    /// The secret by which deliveries are signed. Not empty, and not NULs alone, which sign as nothing does.
    secret signing_secret;
    /// What is delivered: unless changed, what somebody must do something about, and that it is well again.
    std::set<event::kind> kinds = {
        event::kind::credential_refused,  event::kind::credential_anonymous,
        event::kind::credential_expiring, event::kind::credential_expired,
        event::kind::scope_missing,       event::kind::misconfigured,
        event::kind::site_gone,           event::kind::limited_for_long,
        event::kind::webhook_drifted,     event::kind::healed,
    };
    /// So many events wait at the most while one is being delivered; the oldest is dropped for the newest. At least 1.
    std::size_t max_waiting = 1'000;
    /// How long the receiver may take for an answer, and for each step of a dial where wire_params allows more. Greater than 0.
    std::chrono::milliseconds timeout{10'000};
    /// Behind a failed try there is none for half to all of this, doubled with each one in a row up to backoff_max. Greater than 0.
    std::chrono::milliseconds backoff{1'000};
    /// The longest wait between two tries. At least `backoff`.
    std::chrono::milliseconds backoff_max{300'000};
    /// What is sent as User-Agent.
    std::string user_agent = "jirapool/0.1";
    /// Whom to trust.
    tls_params tls;
    /// Where connections go in place of the receiver's host; for tests.
    std::vector<address_override> connect_to;
    /// Whether the executor runs one handler at a time already, so that no strand is made: Asio's do not survive lack of memory.
    bool executor_is_serial = false;
};

/// Checks the params. @return nullptr, or the rule that is broken: "event_webhook_params::url must be an absolute https URL". May throw
/// std::bad_alloc.
char const* why_invalid(event_webhook_params const& p);

/// What became of the events so far.
struct event_webhook_stats {
    std::uint64_t delivered = 0;     ///< events that the receiver took
    std::uint64_t failed_tries = 0;  ///< of these and others: each is made again
    std::uint64_t dropped = 0;  ///< events that were not delivered, for want of room or memory, or as it was stopped
    std::size_t waiting = 0;    ///< events, with the one that is being delivered
    std::string last_failure;   ///< why the last try that failed did; empty: none did
};

/** Delivers events to a receiver of the user's, as signed HTTPS requests: `hook = std::make_shared<event_webhook>(executor, std::move(p));
    params.on_event = [hook](event const& e) { hook->report(e); };`

    Each is a POST of JSON: {"id", "event", "severity", "connection", "scope", "code", "detail", "at"}, all of them strings, `id` the
    delivery's, "event" and "severity" as to_string has them, "code" an errc's name or another code's text or empty, "at" as
    "2026-11-30T09:21:54.123Z". Headers: X-Jirapool-Delivery, the same as `id` and the same over all tries; X-Jirapool-Retry, the number
    of tries before; X-Hub-Signature, which is webhook_signature of the body.

    Events are delivered one at a time, in their order, each until the receiver answers 2xx. All else is a failure that is tried again
    later: an answer with another status, also of a redirect, which is never followed; none; one that makes no sense; a certificate that is
    not valid. Retry-After counts up to backoff_max. Nothing is given up, but the oldest events while more than max_waiting wait. A
    receiver sees an event again whose answer was lost: `id` tells.

    @par Threads   All functions may be called from any thread.
    @par Lifetime  It may be destroyed before or behind its executor's context and the client, from any thread and any handler. While an
                   event waits it is work for the executor; else it is none. */
class event_webhook {
public:
    /// Delivers on `executor`. Throws std::invalid_argument where why_invalid says so, the executor is empty or the CA file cannot be used.
    event_webhook(asio::any_io_executor executor, event_webhook_params p);
    event_webhook(event_webhook const&) = delete;
    event_webhook& operator=(event_webhook const&) = delete;
    /// Stops it.
    ~event_webhook();

    /// Delivers the event, soon, if its kind is in `kinds`. Waits for nothing. An event that cannot be kept for want of memory is dropped
    /// and counted; what is kept, and lacks memory or a descriptor to be sent, is sent with the next event.
    void report(event const& e) noexcept;

    /// May throw std::bad_alloc.
    event_webhook_stats stats() const;

    /// Drops what waits, and ends the try that is under way, whose event the receiver may have. What is reported later is dropped. To
    /// have all delivered, wait until stats().waiting is 0. It may be called again.
    void stop() noexcept;

private:
    class sender;
    class session;
    std::shared_ptr<sender> const sender_;
};

}  // namespace jirapool
