#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/core/secret.hpp>
#include <jirapool/core/time.hpp>

#include <chrono>
#include <compare>
#include <cstddef>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace jirapool {

// What Jira delivers to a managed webhook's callback URL (core/doc/jira-cloud.md, 7.2): a POST, signed with the webhook's secret. The
// HTTPS server that receives it is the user's; what is here knows no socket.

/// A request that came to a callback URL. It refers to what the server holds, and copies nothing.
class webhook_request {
public:
    /// A header's name, in any case, and its value.
    using header = std::pair<std::string_view, std::string_view>;

    std::string_view method;          ///< as it was sent
    std::span<header const> headers;  ///< all of them: a second signature must be seen
    std::string_view body;            ///< its bytes as they came, before anything decoded or parsed them
};

/** Where a delivery stands among those of its issue: Jira promises no order, and repeats come minutes late (core/doc/jira-cloud.md,
    7.2). `a < b` says that `a` happened before `b`. Deliveries of two issues, or of one and the same millisecond, have no order: neither
    is before the other.

    Who keeps a copy of each issue remembers by `issue` the greatest `at` that was taken over, and lets go what is before it, or
    takes an equal one as a reason to read the issue anew. It is no key of the delivery itself: that is webhook_delivery::id. */
class webhook_order {
public:
    /// "10002", the issue's id: a moved issue keeps it, while its key changes. Its key, "ACME-7", where a delivery has no id.
    std::string issue;
    /// When it happened, by the site's clock ("timestamp").
    wall_time at;

    bool operator==(webhook_order const&) const = default;
    friend std::partial_ordering operator<=>(webhook_order const& a, webhook_order const& b) noexcept {
        return a.issue == b.issue ? std::partial_ordering(a.at <=> b.at) : std::partial_ordering::unordered;
    }
};

/// A delivery that was signed by Jira. What is read of the body is what every receiver needs; all of it is in `body`.
class webhook_delivery {
public:
    /// X-Atlassian-Webhook-Identifier: the same over retries, unique in the tenant. Empty when there is none.
    std::string id;
    /// X-Atlassian-Webhook-Retry, of several the first: 0 for the first try, and where it is unreadable.
    unsigned retry = 0;
    /// "webhookEvent", such as "jira:issue_updated".
    std::string event;
    /// "timestamp": when it happened. None where it is no whole number of milliseconds, or one that system_clock cannot hold.
    std::optional<wall_time> timestamp;
    /// "issue": its "id" and "key", when they are strings or whole numbers. Empty where the event is of no issue, as it may also be
    /// for comments.
    std::string issue_id;
    std::string issue_key;
    /// What puts it in order with the others of its issue. None when it is of no issue or says no time: it can be taken only as it comes.
    /// May throw std::bad_alloc.
    std::optional<webhook_order> order() const;
    /// The JSON as it came. Of a name that is there twice the first is read above.
    std::string body;
};

/// X-Hub-Signature of a body, "sha256=…" with 64 hexadecimal digits: HMAC-SHA256 (RFC 2104) by the webhook's secret. It is what
/// tests of a receiver send. It takes any secret, also those that read_webhook_delivery refuses. May throw std::bad_alloc.
std::string webhook_signature(std::string_view body, secret const& signing_secret);

/** Reads a delivery after its signature was proved.

    The signature is looked at before the body is parsed, and compares in constant time. It is of the body alone: what headers say
    (`id`, `retry`) may be anybody's, and who saw a delivery can send it again under any id, which its `timestamp` tells.

    @par Errors   invalid_argument: failure::field names what breaks a rule, and failure::status is the status to answer with.
                  Jira delivers again on 408, 409, 425, 429 and 5xx only, so what is refused here comes no second time:
                  - "method", 405: only POST is a delivery.
                  - "body", 413: more than 25 MiB, which Jira does not send. 400: no JSON object with a "webhookEvent" that is a
                    string and not empty. What it does not read of the body it does not judge.
                  - "X-Hub-Signature", 401: none, several, of another method than sha256, or not the body's.
                  - "X-Atlassian-Webhook-Identifier", 400: several, or not at most 255 visible characters of ASCII.
                  - "signing_secret", 500: nothing, or nothing but NULs, which signs alike: anybody could sign. The mistake is the
                    receiver's own, and Jira delivers again.
    May throw std::bad_alloc: answer 500 then.
    @par Threads  Any. */
result<webhook_delivery> read_webhook_delivery(webhook_request const& r, secret const& signing_secret);

/** Which deliveries came already, so that each is handled once: a window over the newest of one webhook's ids.

    Jira tries five more times within some 75 minutes (core/doc/jira-cloud.md, 7.2). A try that comes while an earlier one is being
    handled is not new either: it must not be answered 200 before that one has succeeded, or what fails is lost.

    @par Threads  One at a time. */
class webhook_window {
public:
    /// Remembers at most so many ids, the newest, each for so long from when it was first seen. With 0 of either, or less, it
    /// remembers none.
    explicit webhook_window(std::size_t most = 10'000, std::chrono::seconds longest = std::chrono::hours(2)) noexcept
        : most_(most), longest_(saturated(longest)) {}
    webhook_window(webhook_window&&) noexcept = default;
    webhook_window& operator=(webhook_window&&) noexcept = default;
    webhook_window(webhook_window const&) = delete;
    webhook_window& operator=(webhook_window const&) = delete;
    ~webhook_window() = default;

    /// True when the id is not remembered; it is from now on. Always true for an empty one, which tells nothing. May throw
    /// std::bad_alloc, and changes nothing then.
    bool is_new(std::string_view id, steady_time now);
    /// Handling it failed, and Jira was asked to deliver it again: its next try is new.
    void forget(std::string_view id) noexcept;
    /// How many ids it remembers. Those whose time is over leave when a new one comes.
    std::size_t size() const noexcept { return seen_.size(); }

private:
    struct seen {
        std::string id;
        steady_time at;
    };
    using in_order = std::list<seen>;

    std::size_t most_;
    steady_duration longest_;
    in_order seen_;  // the oldest first
    std::unordered_map<std::string_view, in_order::iterator> by_id_;
};

}  // namespace jirapool
