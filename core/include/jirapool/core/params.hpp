#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// How a client decides: what can be tuned of limits, resends and tokens. The pool's own params are in jirapool/pool/params.hpp.

namespace jirapool {

/// What the limiter does with what it knows.
enum class limiting : std::uint8_t {
    off,     ///< everything goes at once, nothing is learned or paused
    shadow,  ///< everything goes at once, but is counted as `enforce` would have treated it: to look before switching on
    enforce,  ///< calls wait for their turn, or are refused when it would come too late
};

/// How Jira's limits are kept (core/doc/0002-limits.md).
struct limit_params {
    /// What the limiter does. It enforces, as what Jira refuses costs a request, a channel and a pause, while what waits here
    /// costs time alone.
    limiting mode = limiting::enforce;
    /// The part of an advertised rate that is used. The rest absorbs the jitter between our sending and Jira's counting.
    double use_of_rate = 0.98;
    /// The part of a route's bucket that may leave at once after quiet. The bucket's size is not published: X-RateLimit-Remaining
    /// tells it. In (0, 1].
    double burst_of_bucket = 0.5;
    /// The number of calls that leave at once before a route's first answer names its true rate; then at most ten a second do.
    unsigned burst_unlearned = 3;
    /// The most calls of one site that may wait for permits; more are refused with queue_full. Each takes about 300 bytes.
    std::size_t max_waiting = 10'000;
    /// How long a 429 that names no time pauses its scope, doubled with each one in a row, up to pause_max. A time that nobody can
    /// read is taken for 60 s, as somebody did ask for patience.
    std::chrono::milliseconds pause{1'000};
    /// The longest such pause.
    std::chrono::milliseconds pause_max{60'000};
    /// The most bulk operations in flight per site, over all users (core/doc/jira-cloud.md, 3.1).
    unsigned max_bulk = 5;
};

/// Checks the params. @return nullptr, or the rule that is broken.
char const* why_invalid(limit_params const& p) noexcept;

/// What is sent again, and how often (core/doc/0001-who-may-be-sent-twice.md).
struct retry_params {
    /// The most exchanges of one call, the first one included; those that follow a renewed token or a wait for a limit do not
    /// count, nor do as many that the server provably did not act on and said so (over HTTP/2, as when it restarts). >= 1.
    unsigned max_exchanges = 4;
    /// The range of the wait before the first resend, which is drawn from [0, backoff), then from twice that, up to backoff_max.
    std::chrono::milliseconds backoff{200};
    /// The largest range of such a wait.
    std::chrono::milliseconds backoff_max{20'000};
    /// The part of a resend that each call earns, per site and per origin. With what was saved up, an outage of 1,000 calls or
    /// more is answered with 10 % more load at most (https://sre.google/sre-book/handling-overload/).
    double budget_ratio = 0.09;
    /// The most resends that a site or origin may have saved up: enough for the odd lost channel of a quiet one. When all channels
    /// are lost at once it is overdrawn by as many.
    double budget_max = 10;
    /// How long a read may lack the first byte of its answer, and four times what the site is likely to take, before it is sent a
    /// second time on a new channel: the first may be lost in a network that says nothing of it. Whichever is answered first
    /// counts (pool/doc/0005-hedged-reads.md). 0 means never.
    std::chrono::milliseconds hedge_after{2'000};
    /// How many of a hundred of an origin's calls may be sent so, in the long run.
    double hedge_percent = 1;
    /// How often one call may be answered 429 and wait again before the answer is delivered.
    unsigned max_limited = 3;
};

/// Checks the params. @return nullptr, or the rule that is broken.
char const* why_invalid(retry_params const& p) noexcept;

/// How access tokens are kept valid (core/doc/0003-tokens.md).
struct token_params {
    /// The earliest part of a token's lifetime at which it is renewed, beside the calls.
    double refresh_from = 0.35;
    /// The latest. The moment is drawn evenly between the two, so that credentials loaded in one second do not renew in one
    /// second. The rest of the lifetime is what an outage of the token endpoint may last without a failed call.
    /// 0 < refresh_from <= refresh_to < 1.
    double refresh_to = 0.85;
    /// How close to its expiry a token is not sent any more, for clock skew and the exchange's own flight. It is never more than
    /// a tenth of the lifetime.
    std::chrono::seconds use_slack{30};
    /// How long the next refresh waits after a failed one, doubled each time up to backoff_max, with full jitter on the upper
    /// half.
    std::chrono::milliseconds backoff{500};
    /// The longest such wait while no call needs the token.
    std::chrono::milliseconds backoff_max{60'000};
    /// The longest such wait while a call lacks a usable token: callers' patience is shorter.
    std::chrono::milliseconds backoff_waited{4'000};
    /// How long one exchange may take, its wait for a channel included. The old token is in use meanwhile.
    std::chrono::milliseconds exchange_timeout{10'000};
    /// How long an exchange may be silent while calls wait without a usable token, before it gets a second one beside it; the
    /// first good answer wins. Never more than two are in flight for a credential.
    std::chrono::milliseconds overtake_after{1'000};
    /// The time between two exchanges while several credentials fail and none gets a token: the endpoint itself is down then, and
    /// whichever credential is next asks whether it is back.
    std::chrono::milliseconds probe_interval{1'000};
    /// The time over which the credentials that calls wait for renew once it is; the others renew over wake_spread.
    std::chrono::milliseconds recovery_spread{2'000};
    /// The number of exchanges that begin in a second, of all credentials of a runtime, whose shards share them out evenly:
    /// thousands of connections that are added at once must not be thousands of requests in that second. Those that calls wait for come
    /// before all others. n credentials whose tokens live for s seconds need n / (0.6 s) of them. The endpoint may see a tenth
    /// more in a second, of which some waited for a channel. Greater than 0.
    double exchanges_per_second = 90;
    /// How long a refusal for good (`invalid_client`, `access_denied`) is remembered: calls fail at once, without asking
    /// the endpoint again. Then it is asked again, since a person may have repaired the credential; `connections::replace` asks at
    /// once.
    std::chrono::seconds refused_memory{3'600};
    /// The longest such time: it doubles with each refusal in a row.
    std::chrono::seconds refused_memory_max{86'400};
    /// The time over which refreshes spread that no call waits for, after the machine slept through the moments of many.
    std::chrono::seconds wake_spread{60};
};

/// Checks the params. @return nullptr, or the rule that is broken: "token_params::refresh_to must be less than 1".
char const* why_invalid(token_params const& p) noexcept;

}  // namespace jirapool
