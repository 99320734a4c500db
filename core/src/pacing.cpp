#include <jirapool/core/pacing.hpp>

#include <jirapool/core/limiter.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// Advertised figures above this are of another limit than requests per second (360000 was seen at the gateway).
constexpr std::uint32_t highest_burst_rate = 5'000;

// Below this part of the bucket others are using it too: slow down in proportion.
constexpr double low_remaining = 0.2;
constexpr double low_remaining_calls = 3;  // … or below this, when the bucket is small
constexpr double lowest_pace = 0.2;
constexpr std::uint8_t full_pace = 255;
constexpr std::uint8_t pace_step = 16;
// A 429 shows that all that is known of a route does not tell how fast it is, the way's jitter for one: for a minute or so it
// is used a little less.
constexpr std::uint8_t most_pace_step = 1;

// Until a route has answered: the lower one of the two figures that Jira documents for a GET (core/doc/jira-cloud.md, 3.2).
constexpr double rate_unanswered = 10;

// How a bucket is refilled is told by what Remaining does within less than the second that the longest step takes: there is
// one refill in it at the most, so that of n calls half or more find the bucket lower each time.
constexpr std::uint32_t course_ms = 900;
constexpr std::uint16_t enough_for_steady = 4;
constexpr double fall_of_steady = 0.3;  // for each call behind the first; with a step among them it is 0.33 at least
constexpr std::uint16_t enough_for_stepped = 4;
constexpr double fall_of_stepped = 0.7;
constexpr std::uint32_t shortest_stepped_ms = 300;
// Calls that leave the same as the one before: what they took was refilled in between. One step may do that once, and one more where
// calls are so near to each other that their answers change places.
constexpr unsigned enough_repeats = 3;
constexpr unsigned enough_repeats_apart = 2;
constexpr std::uint16_t calls_apart = 20;  // a second
constexpr double full_enough = 0.8;        // for a burst
constexpr double least_rise = 4;           // by a step, rather than by answers that overtake each other
constexpr double rise_of_rate = 0.06;      // … or by this part of the rate

// A bucket that is refilled once in a second must not get one call more within it, whatever the way does to their distances.
constexpr double use_of_stepped = 0.92;

/* Beside others half of the bucket is kept for what they may do next, and for what is not known of them yet: from there on the rate
   that they leave is used, from less of it less, and from more of it more. So the bucket is neither empty nor full, where it hides
   them. */
constexpr double kept_beside_others = 0.5;
constexpr double kept_calls = 13;  // … or so many of a small one, in which chance moves more: up to
constexpr double most_kept_beside_others = 0.7;
constexpr double nothing_beside_others = 0.1;  // of the bucket: then nobody but they may go
constexpr double more_beside_others = 0.15;    // of the whole rate, over what they leave, while the bucket is full
constexpr double least_left_by_others = 0.02;  // of the rate: so much they leave, whatever they take
// Below this others do not explain any more why the bucket is empty again and again.
constexpr std::uint8_t doubted_pace = 150;  // of 255
// Less is as good as nobody.
constexpr std::uint8_t some_others = 10;  // of 255
constexpr double many_others = 0.2;

constexpr std::uint16_t one_call = 16;  // of credit
constexpr double most_credit = std::numeric_limits<std::uint16_t>::max();

steady_duration seconds_as_duration(double seconds) noexcept {
    return std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

pacing::pacing(std::uint16_t documented) noexcept : rate_(documented), pace_(full_pace), most_pace_(full_pace) {}

bool pacing::shared() const noexcept { return steady_ && others_ >= some_others; }

void pacing::make_way(double share) noexcept {
    bool const before = shared();
    others_ = static_cast<std::uint8_t>(std::lround(std::clamp(share, 0.0, 1.0) * 255));
    if (before && !shared()) pace_ = most_pace_;
    // They explain the 429s that came before they were known.
    if (!before && others() >= many_others && remaining_ < kept_beside_others * bucket_) most_pace_ = full_pace;
}

double pacing::others() const noexcept { return others_ / 255.0; }

double pacing::left_by_others() const noexcept { return std::max(1 - others(), least_left_by_others); }

void pacing::shrink(std::uint32_t remaining) noexcept { bucket_ = static_cast<std::uint16_t>(remaining + 1); }

bool pacing::busy() const noexcept { return answers_ >= enough_for_steady; }

neighbour_estimate::bucket pacing::bucket() const noexcept {
    return {static_cast<double>(rate_), static_cast<double>(bucket_), steady_ != 0};
}

steady_duration pacing::interval(limit_params const& p) const noexcept {
    auto rate = static_cast<double>(rate_);
    if (!answered_) rate = std::min(rate, rate_unanswered);
    // Perhaps it is filled up once in a second: then that is all that it gives.
    if (!steady_ && bucket_ > 0) rate = std::min(rate, static_cast<double>(bucket_));
    double use = stepped_ ? std::min(p.use_of_rate, use_of_stepped) : p.use_of_rate;
    if (shared()) rate *= left_by_others() + more_beside_others;
    return seconds_as_duration(1 / std::max(rate * use * pace_ / full_pace, 0.01));
}

steady_duration pacing::usual_interval(limit_params const& p) const noexcept {
    if (!shared()) return interval(p);
    // What is left of the bucket at a moment makes a call early or late, and not all that wait behind it.
    double const rate = rate_ * left_by_others() * p.use_of_rate * most_pace_ / full_pace;
    return seconds_as_duration(1 / std::max(rate, 0.01));
}

double pacing::burst(limit_params const& p) const noexcept {
    if (bucket_ == 0) return static_cast<double>(p.burst_unlearned);
    return std::max(1.0, std::floor(bucket_ * p.burst_of_bucket));
}

// Of a steady route's GCRA.
steady_duration pacing::tolerance(limit_params const& p) const noexcept {
    // Without the pace: a slowed route keeps its spacing, not a longer memory of quiet.
    double const rate = static_cast<double>(rate_) * p.use_of_rate;
    return seconds_as_duration((burst(p) - 1) / std::max(rate, 0.01));
}

steady_time pacing::earliest(limit_params const& p) const noexcept {
    if (next_ == steady_time::min()) return next_;
    if (steady_) return next_ - tolerance(p);
    return credit_ >= one_call ? steady_time::min() : next_;
}

void pacing::take(limit_params const& p, steady_time now) noexcept {
    auto const each = interval(p);
    if (!steady_) {
        double const most = std::min((burst(p) - 1) * one_call, most_credit);
        double credit = most;
        if (next_ != steady_time::min()) {
            auto const quiet = std::max(now - next_, steady_duration::zero());
            credit = credit_ + one_call * (std::chrono::duration<double>(quiet) / each - 1);
        }
        credit_ = static_cast<std::uint16_t>(std::clamp(credit, 0.0, most));
    }
    next_ = std::max(next_, now) + each;
}

void pacing::keep_no_burst(limit_params const& p, steady_time now) noexcept {
    credit_ = 0;
    not_before(steady_ ? now + tolerance(p) : now);
}

void pacing::restart(limit_params const& p, steady_time now) noexcept {
    next_ = now;
    keep_no_burst(p, now);
}

void pacing::not_before(steady_time t) noexcept { next_ = std::max(next_, t); }

bool pacing::on_answer(limit_params const& p, int status, rate_headers const& h, steady_time now) noexcept {
    auto const before = interval(p);
    bool const of_route = h.limit && *h.limit > 0 && *h.limit <= highest_burst_rate &&
                          (status != 429 || h.reason == limit_reason::burst);  // else it is of the limit that was hit
    bool const told = of_route && h.remaining && status != 429;
    if (of_route) {
        rate_ = static_cast<std::uint16_t>(*h.limit);
        learned_ = 1;
    }
    if (told) look_at_course(p, *h.remaining, now);
    if (!answered_) {
        // Those that went before it was known what they may are paid for at the true rate.
        answered_ = 1;
        if (next_ > now) next_ = now + ((next_ - now - 1ns) / before + 1) * interval(p);
    }
    if (told) adapt_pace(*h.remaining);
    return told;
}

/* How large the bucket is and how it is refilled.

   Its greatest Remaining is a floor of its size. While nothing was told of its refill it may be filled up once in a second;
   the advertised rate is then an upper bound of what it gives, and its size another one. */
void pacing::look_at_course(limit_params const& p, std::uint32_t remaining, steady_time now) noexcept {
    auto const left = static_cast<std::uint16_t>(std::min<std::uint32_t>(remaining, 60'000));
    bucket_ = std::max(bucket_, static_cast<std::uint16_t>(left + 1));
    auto const ms = static_cast<std::uint32_t>(now.time_since_epoch() / 1ms);
    auto const elapsed = ms - window_;
    if (answers_ == 0 || elapsed > course_ms) {
        // Remaining that does not move while less is used than comes in is a full bucket's.
        bool const full = highest_ - lowest_ <= 1 && lowest_ > 0;
        double const given = static_cast<double>(rate_) * course_ms / 1000;
        // Beside others it may stand still as well: then their estimate tells.
        if (answers_ >= enough_for_steady && full && !shared() && answers_ < 0.8 * given && left <= highest_)
            bucket_ = static_cast<std::uint16_t>(highest_ + 1);
        end_window();
        window_ = ms;
        answers_ = 1;
        lowest_ = highest_ = remaining_ = left;
        rose_ = 0;
        repeats_ = 0;
        return;
    }
    if (answers_ < 60'000) ++answers_;
    lowest_ = std::min(lowest_, left);
    highest_ = std::max(highest_, left);
    double const rise = std::max(least_rise, rise_of_rate * rate_);
    auto const before = std::exchange(remaining_, left);
    if (left >= before + rise) rose_ = 1;
    if (left == before && repeats_ < enough_repeats) ++repeats_;
    if (steady_) return;
    int const fall = highest_ - lowest_;
    // Each of our calls takes one. Without a step, to which no rise points but one to the full bucket that is as small, they all leave
    // another Remaining; less of them is refill, however fast others empty the bucket.
    bool const refilled = !rose_ && (fall < answers_ - 2 - rise ||
                                     repeats_ >= (rate_ <= calls_apart ? enough_repeats_apart : enough_repeats));
    if (answers_ >= enough_for_steady && (fall <= fall_of_steady * (answers_ - 1) || refilled)) {
        steady_ = 1;
        stepped_ = 0;
        // It may take a burst now: not one that the bucket does not hold, nor while others empty it.
        if (refilled || left < full_enough * bucket_) not_before(now + tolerance(p));
    } else if (answers_ >= enough_for_stepped && elapsed >= shortest_stepped_ms && fall >= fall_of_stepped * answers_) {
        // At more than its rate a bucket that is refilled all the time falls as well.
        if (answers_ <= 1.2 * static_cast<double>(rate_) * elapsed / 1000) stepped_ = 1;
    }
}

// Some 0.9 s are over.
void pacing::end_window() noexcept {
    if (answers_ == 0) return;
    most_pace_ = static_cast<std::uint8_t>(std::min<int>(full_pace, most_pace_ + most_pace_step));
    if (steady_) return;
    // It may run low at the end of each second by our own calls. But when more is gone than they took others take as well.
    int const fall = highest_ - lowest_;
    bool const others = lowest_ < low_remaining * bucket_ && fall > 1.5 * answers_ + 2;
    slow_down(others ? 0.75 * pace_ / full_pace : 1);
    if (!others) speed_up();
}

void pacing::adapt_pace(std::uint32_t remaining) noexcept {
    if (shared()) return keep_reserve(remaining);
    if (!steady_) return;
    // Jira rounds down: a Remaining of 0 is half a request on average, which is much of a small bucket.
    double const low = std::max(low_remaining * bucket_, std::min(low_remaining_calls, 0.6 * bucket_));
    double const left = (static_cast<double>(remaining) + 0.5) / low;
    if (left < 1) slow_down(0.5 + 0.5 * left);
    else speed_up();
}

void pacing::keep_reserve(std::uint32_t remaining) noexcept {
    double const kept = std::max(kept_beside_others, std::min(kept_calls / bucket_, most_kept_beside_others));
    double const over = (static_cast<double>(remaining) + 0.5) / bucket_ - kept;
    double const left = left_by_others();
    // One call is no later than the reserve takes to come back.
    double const least = left * std::min(1 / (kept * bucket_), 1.0);
    double const use = over < 0 ? left * (1 + over / (kept - nothing_beside_others))
                                : left + over / (1 - kept) * more_beside_others;
    double const part = std::clamp(std::max(use, least) / (left + more_beside_others), 0.0, 1.0);
    pace_ = static_cast<std::uint8_t>(std::max(1L, std::lround(most_pace_ * part)));
}

void pacing::slow_down(double pace) noexcept {
    pace_ = std::min(pace_, static_cast<std::uint8_t>(full_pace * std::max(lowest_pace, pace)));
}

void pacing::speed_up() noexcept {
    pace_ = std::max(pace_, static_cast<std::uint8_t>(std::min<int>(most_pace_, pace_ + pace_step)));
}

void pacing::on_overrun() noexcept {
    constexpr int lowest = static_cast<int>(full_pace * lowest_pace);
    answers_ = 0;
    bool const explained = shared() && most_pace_ >= doubted_pace;
    pace_ = static_cast<std::uint8_t>(std::max(lowest, pace_ * 3 / 4));
    most_pace_ = static_cast<std::uint8_t>(std::max(lowest, most_pace_ - most_pace_ / 8));
    if (explained) return keep_reserve(0);
    steady_ = 0;  // what was learned of its refill may be why
}

void pacing::forget_overruns() noexcept { pace_ = most_pace_ = full_pace; }

void pacing::merge(pacing const& other) noexcept {
    if (other.learned_) rate_ = learned_ ? std::min(rate_, other.rate_) : other.rate_;
    learned_ |= other.learned_;
    if (other.bucket_ > 0) bucket_ = bucket_ > 0 ? std::min(bucket_, other.bucket_) : other.bucket_;
    steady_ = answered_ && other.answered_ ? steady_ & other.steady_ : steady_ | other.steady_;
    stepped_ |= other.stepped_;
    answered_ |= other.answered_;
    credit_ = std::min(credit_, other.credit_);
    pace_ = std::min(pace_, other.pace_);
    others_ = std::max(others_, other.others_);
}

}  // namespace jirapool
