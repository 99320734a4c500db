#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/labels.hpp>
#include <jirapool/core/params.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace jirapool {

/** May the same bytes be sent a second time when it is unknown whether Jira acted on the first (core/doc/jira-cloud.md, 6)?
    GET, HEAD, DELETE, a PUT of whole fields, and the POSTs that only read. `request::resendable` overrides. */
bool is_resendable(request const& r, route_id route) noexcept;

/** How much more load failing calls may cause: a bucket of resends, filled by calls. 4 bytes.

    First exchanges never ask it; a resend after a 401 or 429 neither. */
class retry_budget {
public:
    explicit retry_budget(double saved) noexcept : saved_(static_cast<float>(saved)) {}
    explicit retry_budget(retry_params const& p) noexcept : retry_budget(p.budget_max) {}
    void on_call(double ratio, double most) noexcept;
    void on_call(retry_params const& p) noexcept { on_call(p.budget_ratio, p.budget_max); }
    /// True: one resend may go out, and is counted. It may overdraw what was saved by so much; that is earned back before
    /// anything else is sent again.
    bool take(double overdraft = 0) noexcept;
    /// What part of it is left, 0 to 1.
    double left(retry_params const& p) const noexcept {
        return p.budget_max > 0 ? std::clamp(static_cast<double>(saved_) / p.budget_max, 0.0, 1.0) : 0;
    }
    bool can_take(double overdraft = 0) const noexcept { return saved_ - 1 >= -overdraft; }

private:
    float saved_;
};

/// How long an exchange may lack its answer's first byte before it is hedged, where the site is likely to take `likely`.
/// nullopt: for ever.
std::optional<steady_duration> hedge_after(retry_params const& p, steady_duration likely) noexcept;

/// How an exchange that did not deliver went.
struct exchange_facts {
    resend_reason reason = resend_reason::channel_lost;
    unsigned exchanges = 1;    ///< made so far
    unsigned limited = 0;      ///< of them answered 429
    unsigned refusals = 0;     ///< of them refused, as below
    bool resendable = false;   ///< is_resendable
    bool unprocessed = false;  ///< provably: nothing written, or the server said so (429)
    /// The channel had served before, and ended: without one byte of an answer, or as the server had announced.
    bool channel_ended = false;
    bool refused = false;  ///< over HTTP/2 the server said that it did not act on it, as when it restarts
    std::optional<std::chrono::seconds> retry_after;  ///< a floor; 0 is no hint
};

/** Whether to send again, and after what wait at least.

    A reused channel that died silently is replaced at once: the server closed it while it was idle; so is one whose end the server
    announced. What was refused once goes to another channel at once. Anything else waits with full jitter on top of the server's own
    floor. The caller still checks the deadline and the budgets (`needs_budget`). @return nullopt: give the caller what there is. */
std::optional<steady_duration> resend_after(exchange_facts const& f, retry_params const& p,
                                            random_engine& random) noexcept;

/// Resends that add load to something that is failing. A wait for a limit or a token does not, nor does what a server refused: that it
/// counted for nothing.
constexpr bool needs_budget(exchange_facts const& f) noexcept {
    return (f.reason == resend_reason::channel_lost && !f.refused) || f.reason == resend_reason::transient_answer;
}

/** How far a resend may overdraw a budget whose calls have `channels` channels at the most.

    When an edge restarts, all channels die at once, each with a call, or over HTTP/2 with many: none of those calls shall be lost. A
    channel must have served before, so a server that answers nothing brings no channel's loss twice, nor one that resets each stream
    and keeps its channel; and as the debt is earned back by calls, an outage still gets no more load than budget_ratio in the long
    run. */
constexpr double overdraft(exchange_facts const& f, double channels) noexcept {
    return f.reason == resend_reason::channel_lost && f.channel_ended ? channels : 0;
}

}  // namespace jirapool
