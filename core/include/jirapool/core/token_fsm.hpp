#pragma once

#include <jirapool/core/random.hpp>
#include <jirapool/core/time.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace jirapool {

/// Counts the exchanges that gave a token; 0: there never was one. A 401 concerns only the generation it refused.
using token_generation = std::uint32_t;

struct token_params {
    /// A refresh starts behind the calls at a point of the lifetime drawn evenly from here …
    double refresh_from = 0.35;
    /// … to here, so that credentials loaded in one second do not renew in one second. The rest of the lifetime is what
    /// an outage of the token endpoint may last without a failed call. 0 < refresh_from <= refresh_to < 1.
    double refresh_to = 0.85;
    /// Closer to its expiry than this a token is not sent any more: clock skew and the exchange's own flight. Never more
    /// than a tenth of the lifetime.
    std::chrono::seconds use_slack{30};
    /// After a failed refresh the next one waits this long, doubled each time up to backoff_max, with full jitter on the
    /// upper half.
    std::chrono::milliseconds backoff{500};
    std::chrono::milliseconds backoff_max{60'000};
    /// A refusal for good (`invalid_client`, `access_denied`) is remembered this long: calls fail at once, without asking
    /// the endpoint again. Then it is asked again, since a person may have repaired the credential.
    std::chrono::seconds refused_memory{60};
    /// After the machine slept through the moments of many refreshes, those that no call waits for spread over this long.
    std::chrono::seconds wake_spread{60};
};

/// nullptr, or the rule that is broken: "token_params::refresh_to must be less than 1".
char const* why_invalid(token_params const& p) noexcept;

/// What a call that needs a token shall do.
enum class token_need : std::uint8_t {
    use,                ///< a valid token is held
    use_and_refresh,    ///< the same, and the caller starts the one refresh
    wait,               ///< none; a refresh runs or is due at next_refresh()
    refresh_then_wait,  ///< none; the caller starts the one refresh, then waits
    refused,            ///< none, and the endpoint said no for good a moment ago
};

/// What an answer that refused the token (401, or 403/404 past its expiry) shall lead to.
enum class token_rejection : std::uint8_t {
    resend,      ///< a newer token is held already
    need_newer,  ///< the token is dropped: go to on_need and wait for the next generation
    deliver,     ///< refreshing would not help or is too soon after the last forced one: the caller gets the answer
};

enum class refresh_failure : std::uint8_t {
    transient,  ///< 5xx, 429, no answer, an answer that makes no sense
    permanent,  ///< the endpoint refused the credential
};

/** The life of one OAuth credential's access token: pure decisions, no I/O, no clock, no allocation.

    Whoever gets `use_and_refresh` or `refresh_then_wait`, or finds `refresh_due`, starts one exchange and reports its end
    with exactly one of on_refreshed and on_refresh_failed; until then nobody else is told to start one.

    @par Threads   One at a time: it belongs to its shard. */
class token_fsm {
public:
    explicit token_fsm(token_params const& p) noexcept : params_(&p) {}  ///< keeps a reference

    token_need on_need(steady_time now) noexcept;

    /// True, once, when the moment of next_refresh() has come and no refresh runs: the caller starts it.
    bool refresh_due(steady_time now) noexcept;
    /** The timer for next_refresh() rang. Rung long after its time (the machine slept, and with it every credential's
        timer), the refresh is put off by a part of wake_spread; a call that finds no usable token does not wait for that. */
    void on_timer(steady_time now, random_engine& random) noexcept;
    /// When to look at refresh_due again; steady_time::max() while a refresh runs.
    steady_time next_refresh() const noexcept;

    /** An exchange gave a token that lives `lifetime` from `asked`, the moment its request was sent (the careful end).
        @return false when the token is already past its use: counted as a transient failure. */
    bool on_refreshed(steady_time asked, steady_time now, std::chrono::seconds lifetime,
                      random_engine& random) noexcept;

    /// `retry_after` is a floor for the next try.
    void on_refresh_failed(refresh_failure f, steady_time now, std::optional<std::chrono::seconds> retry_after,
                           random_engine& random) noexcept;

    /// The token of generation `used` was refused.
    token_rejection on_rejected(token_generation used, steady_time now) noexcept;

    /// The secret was replaced: the token stays in use, a refresh with the new secret is due now, a refusal is forgotten.
    void on_secret_replaced(steady_time now) noexcept;

    bool usable(steady_time now) const noexcept { return now < use_until_; }
    bool refreshing() const noexcept { return refreshing_; }
    bool refused(steady_time now) const noexcept { return refused_ && now < next_refresh_; }
    token_generation generation() const noexcept { return generation_; }
    /// Expiry as the endpoint named it; steady_time::min() when there is no token.
    steady_time expires() const noexcept { return expires_; }

private:
    void end_refresh(steady_time now) noexcept;

    token_params const* params_;
    steady_time use_until_ = steady_time::min();
    steady_time expires_ = steady_time::min();
    steady_time issued_ = steady_time::min();
    steady_time next_refresh_ = steady_time::min();  // a new credential is due at once
    token_generation generation_ = 0;
    std::uint16_t failures_ = 0;    // in a row
    std::uint16_t rejections_ = 0;  // forced refreshes in a row whose token was refused soon after
    bool refreshing_ = false;
    bool refused_ = false;
    bool put_off_ = false;          // by on_timer
    bool secret_replaced_ = false;  // while a refresh with the old secret runs
};

}  // namespace jirapool
