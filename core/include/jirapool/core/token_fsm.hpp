#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/pace.hpp>
#include <jirapool/core/params.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/time.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace jirapool {

/// Counts the exchanges that gave a token; 0: there never was one. A 401 concerns only the generation it refused.
using token_generation = std::uint32_t;

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
    /// It answered nobody for some exchanges.
    bool fails() const noexcept;
    /// Whether one credential's failures are told as its own: of a few in ten minutes. When more fail than those, it is the endpoint.
    bool may_tell(steady_time now) noexcept;

private:
    token_params const* params_;
    pace pace_;
    steady_time opens_ = steady_time::min();
    double turn_ = 0;
    std::uint32_t credentials_ = 0;   // that came
    std::uint32_t first_failed_ = 0;  // of them
    unsigned failed_ = 0;             // in a row, of all
    unsigned told_ = 0;               // as failing by themselves, until told_until_
    steady_time told_until_ = steady_time::min();
    bool several_ = false;  // credentials failed, not one alone
    bool recovered_ = false;
    bool out_of_reach_ = false;
};

/// Whose trouble it is that a credential is not renewed, for who is told of it.
enum class token_trouble : std::uint8_t {
    none,        ///< nothing to tell: too few failures for a word on it, or told already
    credential,  ///< its own, as the endpoint answers others or none of them asked; told once, until it is renewed
    endpoint,    ///< the token endpoint's: several fail
};

/** When one OAuth credential's access token is renewed, used and given up: pure decisions, no I/O, no clock, no allocation. Its life is
    drawn in core/doc/0003-tokens.md.

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

    /// Behind on_refresh_failed, for a failure that will pass by itself: what is to be told of it.
    token_trouble trouble(steady_time now) noexcept;
    /// True, once, when a token came behind a trouble that was told as the credential's.
    bool take_recovered() noexcept;

    /// The token of generation `used` was refused.
    token_rejection on_rejected(token_generation used, steady_time now) noexcept;
    /// The token of generation `used` was good.
    void on_accepted(token_generation used, steady_time now) noexcept;

    /// The secret was replaced: the token stays in use, a refresh with the new secret is due now, a refusal is forgotten.
    void on_secret_replaced(steady_time now) noexcept;

    bool usable(steady_time now) const noexcept { return now < use_until_; }
    bool refreshing() const noexcept { return running_ > 0; }
    bool refused(steady_time now) const noexcept { return refused_ && !refreshing() && now < next_refresh_; }
    /// Calls that have no token need not wait: nobody can be asked for one until a person has done something.
    bool out_of_reach() const noexcept { return endpoint_->out_of_reach(); }
    token_generation generation() const noexcept { return generation_; }
    /// In a row.
    std::uint16_t failures() const noexcept { return failures_; }
    /// Expiry as the endpoint named it; steady_time::min() when there is no token.
    steady_time expires() const noexcept { return expires_; }
    /// When it was asked for.
    steady_time issued() const noexcept { return issued_; }
    /// It is held past nine tenths of its life, though it was to be renewed before.
    bool stale(steady_time now) const noexcept { return expires_ - now < (expires_ - issued_) / 10; }

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
    std::uint8_t refusals_ = 0;     // for good, in a row
    std::uint8_t running_ = 0;      // exchanges
    std::uint8_t late_ = 0;         // exchanges that another one has overtaken
    std::uint8_t chance_ = 0;       // this token's, in proved_from
    bool refused_ : 1 = false;
    bool put_off_ : 1 = false;          // by on_timer
    bool held_back_ : 1 = false;        // by the endpoint's outage
    bool has_turn_ : 1 = false;         // at next_refresh_, by the endpoint's pace
    bool told_when_ : 1 = false;        // by the endpoint, to come back
    bool secret_replaced_ : 1 = false;  // while a refresh with the old secret runs
    bool told_ : 1 = false;             // that it fails
    bool recovered_ : 1 = false;        // since that was told
};

}  // namespace jirapool
