#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/answer.hpp>
#include <jirapool/core/error.hpp>
#include <jirapool/core/retry.hpp>
#include <jirapool/core/time.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace jirapool {

/// How an exchange ended.
struct exchange_end {
    error_code error;            ///< none: there is an answer
    bool caller_failed = false;  ///< the error is of the call's own sink or source
    /// Provably: nothing of the request was written, or the server says that it did not act on it.
    bool unprocessed = false;
    bool reused = false;         ///< the channel had served before
    bool silent = false;         ///< not one byte of an answer came
    bool announced = false;      ///< the server had said that the channel ends
    bool channel_lives = false;  ///< the exchange ended alone, and the channel takes more
    /// Of what is unprocessed: the server itself said so.
    bool refused = false;
    // Of an answer:
    answer_class answer = answer_class::delivered;
    bool new_token = false;  ///< Jira refused the access token, and there is or will be another one
    std::optional<std::chrono::seconds> retry_after;
};

/// What a resend would use.
struct resend_means {
    bool resendable = false;  ///< is_resendable, and what was streamed can be streamed again
    retry_budget const& of_site;
    retry_budget const& of_origin;
    // How many channels there may be at the most: see overdraft.
    double site_channels = 0;
    double origin_channels = 0;
    steady_time now{};
    steady_time deadline{};
};

/// What the end of an exchange leads to.
struct settlement {
    enum class kind : std::uint8_t {
        deliver,  ///< the answer that came
        fail,
        resend,
    };
    kind what = kind::deliver;
    /// A resend that turns out to be impossible is this instead.
    kind otherwise = kind::deliver;
    // Of a resend:
    resend_reason reason = resend_reason::channel_lost;
    steady_time at{};           ///< not before
    bool costs_budget = false;  ///< one of the site's and one of the origin's
    double site_overdraft = 0;  ///< which it may overdraw by so much
    double origin_overdraft = 0;
    /// It is none only because a budget is used up.
    bool over_budget = false;
};

/** What a call does when an exchange of it has ended: whether the caller gets the answer, a failure, or the request is sent once
    more; and what the caller is told of earlier exchanges. One per call. Pure: the time comes in, and effects go out as
    values.

    @par Threads   One at a time: it belongs to its call. */
class settling {
public:
    /// `changes_something`: the request is no read, so that an exchange whose end is unknown matters.
    explicit settling(bool changes_something) noexcept : changes_something_(changes_something) {}

    /// The request is about to be sent.
    void on_begun() noexcept;
    /// It was sent a second time beside the exchange that is under way.
    void on_hedged() noexcept { ++exchanges_; }
    /// The exchange has ended.
    settlement settle(exchange_end const& e, resend_means const& m, retry_params const& p,
                      random_engine& random) noexcept;

    unsigned exchanges() const noexcept { return exchanges_; }
    /// A call gets one new token; a second 401 is the caller's.
    bool may_renew_token() const noexcept { return !renewed_; }
    /// Jira may have acted on the request, though nobody knows.
    bool maybe_processed() const noexcept { return maybe_processed_ && changes_something_; }
    /// The same of all exchanges but the last one.
    bool maybe_processed_before() const noexcept { return processed_before_ && changes_something_; }

private:
    settlement resend(resend_reason reason, settlement::kind otherwise, exchange_end const& e, resend_means const& m,
                      retry_params const& p, random_engine& random) const noexcept;
    void did_nothing() noexcept { maybe_processed_ = processed_before_; }

    unsigned exchanges_ = 0;
    unsigned limited_ = 0;
    unsigned refusals_ = 0;
    bool const changes_something_;
    bool renewed_ = false;
    bool maybe_processed_ = false;   // an exchange is under way, or ended without proof that nothing was done
    bool processed_before_ = false;  // the same, before the last exchange
};

}  // namespace jirapool
