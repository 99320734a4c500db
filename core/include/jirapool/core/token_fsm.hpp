#pragma once

#include <jirapool/core/pace.hpp>
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
    /// … and up to this while a call lacks a usable token: callers' patience is shorter.
    std::chrono::milliseconds backoff_waited{4'000};
    /// What one exchange may take, its wait for a channel included. The old token is in use meanwhile.
    std::chrono::milliseconds exchange_timeout{10'000};
    /// An exchange that has not ended for so long while calls wait without a usable token gets a second one beside it; the
    /// first good answer wins. Never more than two are in flight for a credential.
    std::chrono::milliseconds overtake_after{1'000};
    /// While several credentials fail and none gets a token, the endpoint itself is down: one exchange in this time, of
    /// whichever credential is next, asks whether it is back.
    std::chrono::milliseconds probe_interval{1'000};
    /// Once it is, the credentials that calls wait for renew spread over this long; the others over wake_spread.
    std::chrono::milliseconds recovery_spread{2'000};
    /// Exchanges that begin in a second, of all credentials of a runtime, whose shards share them out evenly: thousands of
    /// connections that are added at once must not be thousands of requests in that second. Those that calls wait for come
    /// before all others. n credentials whose tokens live for s seconds need n / (0.6 s) of them. The endpoint may see a tenth
    /// more in a second, of which some waited for a channel. Greater than 0.
    double exchanges_per_second = 90;
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
    deliver,     ///< fresh tokens were refused too, and it is too soon for another one: the caller gets the answer
    deliver_and_tell,  ///< the same, for the first time: a person must know
};

enum class refresh_failure : std::uint8_t {
    transient,  ///< 5xx, 429, no answer, an answer that makes no sense
    permanent,  ///< the endpoint refused the credential
    lasting,    ///< nobody can be asked, and that will not pass by itself: the endpoint's certificate is refused
};

/** How the token endpoint fares, as the credentials of one shard see it: what one learns of an outage and of its end, the
    others know. Pure, as token_fsm.

    @par Threads   One at a time: it belongs to its shard. */
class token_endpoint {
public:
    /// Keeps a reference. `shards`: so many share what the params allow in a second.
    explicit token_endpoint(token_params const& p, std::size_t shards = 1) noexcept
        : params_(&p), pace_(p.exchanges_per_second, shards) {}

    token_params const& params() const noexcept { return *params_; }
    /// No exchange may begin before: steady_time::min() but for an outage.
    steady_time opens() const noexcept { return opens_; }
    /// When exchanges may begin for all that is known of the endpoint's health.
    pace& exchanges() noexcept { return pace_; }
    /// The last word of it is that it cannot be asked, for a reason that will not pass by itself.
    bool out_of_reach() const noexcept { return out_of_reach_; }
    /// When a credential that may not begin now looks again: each a little later than the one before.
    steady_time next_turn() noexcept;
    void on_begun(steady_time now) noexcept;
    /// A number for a credential that comes. Not its address, which the next one may have.
    std::uint32_t enter() noexcept { return ++credentials_; }
    /// An exchange of `credential` ended without an answer that makes sense.
    void on_failed(std::uint32_t credential, refresh_failure f, steady_time now) noexcept;
    /// An exchange gave a token, or the endpoint's word that there is none.
    void on_answered() noexcept;
    /// True, once, when it answered behind an outage: all credentials that failed shall look again.
    bool take_recovered() noexcept;

private:
    token_params const* params_;
    pace pace_;
    steady_time opens_ = steady_time::min();
    double turn_ = 0;
    std::uint32_t credentials_ = 0;   // that came
    std::uint32_t first_failed_ = 0;  // of them
    unsigned failed_ = 0;             // in a row, of all
    bool several_ = false;            // credentials failed, not one alone
    bool recovered_ = false;
    bool out_of_reach_ = false;
};

/** The life of one OAuth credential's access token: pure decisions, no I/O, no clock, no allocation.

    Whoever gets `use_and_refresh` or `refresh_then_wait`, or finds `refresh_due` or `overtake_due`, starts one exchange and
    keeps the generation and the failures of that moment. Once it has a channel it asks may_send, and ends there if it may not.
    Else it reports its end: first to ended_late, and unless that took it, with exactly one of on_refreshed and
    on_refresh_failed.

    @par Threads   One at a time: it belongs to its shard. */
class token_fsm {
public:
    explicit token_fsm(token_endpoint& e) noexcept : endpoint_(&e), number_(e.enter()) {}  ///< keeps a reference
    // Moved only: a copy would be taken for the same credential.
    token_fsm(token_fsm&&) noexcept = default;
    token_fsm& operator=(token_fsm&&) noexcept = default;

    token_need on_need(steady_time now) noexcept;

    /// True, once, when the moment of next_refresh() has come and no refresh runs: the caller starts it.
    bool refresh_due(steady_time now, bool calls_wait = false) noexcept;
    /// True when calls wait, as this tells, and the one exchange that runs was silent for too long: the caller starts another.
    bool overtake_due(steady_time now) noexcept;
    /** The timer for next_refresh() rang. Rung long after its time (the machine slept, and with it every credential's
        timer), the refresh is put off by a part of wake_spread; a call that finds no usable token does not wait for that. */
    void on_timer(steady_time now, random_engine& random) noexcept;
    /// The endpoint answers again: a refresh that waits for its backoff comes sooner. `waited`: calls wait for it.
    void on_endpoint_recovered(steady_time now, bool waited, random_engine& random) noexcept;
    /// True: a call that has a usable token need not ask on_need.
    bool at_rest(steady_time now) const noexcept { return usable(now) && (running_ > 0 || now < next_refresh_); }
    /// When to look at refresh_due again, and if calls wait at overtake_due; steady_time::max(): not before an exchange ends.
    steady_time next_refresh(bool calls_wait = false) const noexcept;

    /// An exchange has its channel, for which it may have waited. False: it ends unsent, as another one gave a token or failed
    /// since it began, or is not silent for long enough.
    bool may_send(token_generation begun, std::uint16_t failures, steady_time now) noexcept;
    /// An exchange ended that began when the token was of generation `begun`. True: another one gave a token meanwhile, and
    /// what this one brought is of no use.
    bool ended_late(token_generation begun) noexcept;

    /** An exchange gave a token that lives `lifetime` from `asked`, the moment its request was sent (the careful end).
        @return false when the token is already past its use: counted as a transient failure. */
    bool on_refreshed(steady_time asked, steady_time now, std::chrono::seconds lifetime,
                      random_engine& random) noexcept;

    /// `retry_after` is a floor for the next try.
    void on_refresh_failed(refresh_failure f, steady_time now, std::optional<std::chrono::seconds> retry_after,
                           random_engine& random) noexcept;

    /// The token of generation `used` was refused.
    token_rejection on_rejected(token_generation used, steady_time now) noexcept;
    /// The token of generation `used` was good. True: the first one behind deliver_and_tell.
    bool on_accepted(token_generation used, steady_time now) noexcept;

    /// The secret was replaced: the token stays in use, a refresh with the new secret is due now, a refusal is forgotten.
    void on_secret_replaced(steady_time now) noexcept;

    bool usable(steady_time now) const noexcept { return now < use_until_; }
    bool refreshing() const noexcept { return running_ > 0; }
    bool refused(steady_time now) const noexcept { return refused_ && !refreshing() && now < next_refresh_; }
    /// Calls that have no token need not wait: nobody can be asked for one until a person has done something.
    bool out_of_reach() const noexcept { return endpoint_->out_of_reach(); }
    /// Between deliver_and_tell and the next token that is good.
    bool tokens_refused() const noexcept { return told_refused_; }
    token_generation generation() const noexcept { return generation_; }
    /// In a row.
    std::uint16_t failures() const noexcept { return failures_; }
    /// Expiry as the endpoint named it; steady_time::min() when there is no token.
    steady_time expires() const noexcept { return expires_; }

private:
    bool start(steady_time now, bool calls_wait) noexcept;
    /// From here on a token that is refused again may be renewed again, and one that works has proved itself.
    steady_time proved_from() const noexcept;
    void end_refresh(steady_time now) noexcept;

    token_endpoint* endpoint_;
    steady_time use_until_ = steady_time::min();
    steady_time expires_ = steady_time::min();
    steady_time issued_ = steady_time::min();
    // A new credential is due at once. While an exchange runs: when another one may begin beside it.
    steady_time next_refresh_ = steady_time::min();
    steady_time urgent_ = steady_time::min();  // the same for a call that has no usable token
    steady_time sent_ = steady_time::min();    // the last request of those that run
    token_generation generation_ = 0;
    std::uint32_t number_;
    std::uint16_t failures_ = 0;    // in a row
    std::uint16_t rejections_ = 0;  // forced refreshes in a row whose token did not prove itself
    std::uint8_t running_ = 0;      // exchanges
    std::uint8_t late_ = 0;         // exchanges that another one has overtaken
    std::uint8_t chance_ = 0;       // this token's, in proved_from
    bool refused_ : 1 = false;
    bool put_off_ : 1 = false;          // by on_timer
    bool held_back_ : 1 = false;        // by the endpoint's outage
    bool has_turn_ : 1 = false;         // at next_refresh_, by the endpoint's pace
    bool told_when_ : 1 = false;        // by the endpoint, to come back
    bool told_refused_ : 1 = false;     // deliver_and_tell was said
    bool secret_replaced_ : 1 = false;  // while a refresh with the old secret runs
};

}  // namespace jirapool
