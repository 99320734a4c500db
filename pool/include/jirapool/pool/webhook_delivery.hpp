#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/core/secret.hpp>
#include <jirapool/core/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
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

/// A delivery that was signed by Jira. What is read of the body is what every receiver needs; all of it is in `body`.
class webhook_delivery {
public:
    /// X-Atlassian-Webhook-Identifier: the same over retries, unique in the tenant. Empty when there is none.
    std::string id;
    unsigned retry = 0;  ///< X-Atlassian-Webhook-Retry: 0 for the first try, and where it is unreadable
    std::string event;   ///< "webhookEvent", such as "jira:issue_updated"
    std::optional<wall_time>
        timestamp;          ///< when it happened. Jira promises no order: what is older than the last one is late
    std::string issue_id;   ///< empty where the event is of no issue, as it may also be for comments
    std::string issue_key;  ///< likewise
    std::string body;       ///< the JSON as it came
};

/// X-Hub-Signature of a body, "sha256=…" with 64 hexadecimal digits: HMAC-SHA256 (RFC 2104) by the webhook's secret. It is what
/// tests of a receiver send.
std::string webhook_signature(std::string_view body, secret const& signing_secret);

/** Reads a delivery after its signature was proved.

    The signature is looked at before the body is parsed, and compares in constant time. It is of the body alone: what
    headers say (`id`, `retry`) may be anybody's.

    @par Errors   invalid_argument: the secret is empty, so that anybody could sign. protocol_error: failure::field names what
                  broke a rule, and failure::status is the status to answer with. Jira delivers again on 408, 409, 425, 429 and
                  5xx only, so what is refused here comes no second time:
                  - "method", 405: only POST is a delivery.
                  - "body", 413: more than 25 MiB, which Jira does not send. 400: no JSON object with a "webhookEvent".
                  - "X-Hub-Signature", 401: none, several, of another method than sha256, or not the body's.
                  - "X-Atlassian-Webhook-Identifier", 400: several, or more than 255 bytes.
    May throw std::bad_alloc.
    @par Threads  Any. */
result<webhook_delivery> read_webhook_delivery(webhook_request const& r, secret const& signing_secret);

/** Which deliveries came already, so that each is handled once: a window over the newest of one webhook's ids.

    Jira tries five more times within some 75 minutes (core/doc/jira-cloud.md, 7.2).

    @par Threads  One at a time. */
class webhook_window {
public:
    /// Remembers at most so many ids, each for so long. With 0 or less of either it remembers none.
    explicit webhook_window(std::size_t most = 10'000, std::chrono::seconds longest = std::chrono::hours(2)) noexcept
        : most_(most), longest_(saturated(longest)) {}

    /// True when the id was not seen within the window; it is then. Always true for an empty one, which tells nothing. May throw
    /// std::bad_alloc, and has not seen it then.
    bool is_new(std::string_view id, steady_time now);
    /// Handling it failed, and Jira was asked to deliver it again: its next try is new.
    void forget(std::string_view id);
    /// How many ids it remembers.
    std::size_t size() const noexcept { return seen_.size(); }

private:
    struct seen {
        steady_time at;
        std::uint64_t number;
    };
    struct hash : std::hash<std::string_view> {
        using is_transparent = void;
    };

    void drop_oldest() noexcept;

    std::size_t most_;
    steady_duration longest_;
    std::unordered_map<std::string, seen, hash, std::equal_to<>> seen_;
    std::deque<std::pair<std::uint64_t, std::string>> in_order_;  // forgotten ones among them
    std::uint64_t next_ = 0;
};

}  // namespace jirapool
