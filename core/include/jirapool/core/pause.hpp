#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/time.hpp>

#include <algorithm>
#include <cstdint>

namespace jirapool {

/** Whether a scope of the limiter is closed, and who may try it: a route, a site, an app's or account's quota.

    Open, until an answer closes it (`limit_scopes::on_answer`: a 429 that names it, or none that is known, a 503 that says when to come
    back). Paused, until its time has come; then one call goes alone, the probe. Probing, until that call's answer opens the scope or
    pauses it again, or until another call may try, as the probe may be lost. A quota has its probes before its time is over, one an
    hour, and is open behind it, as Jira's hour is new then (`points_quota`). Pure. */
class pause {
public:
    bool open() const noexcept { return phase_ == phase::open; }
    bool paused() const noexcept { return phase_ == phase::paused; }
    bool probing() const noexcept { return phase_ == phase::probing; }
    /// A permit that was given before is void.
    bool holds(steady_time now) const noexcept { return paused() && until_ > now; }

    /// When the next call may go as its probe; steady_time::min() when the scope is open.
    steady_time earliest() const noexcept { return open() ? steady_time::min() : until_; }
    /// How many pauses began without a good answer between them, 63 at most.
    int in_a_row() const noexcept { return in_a_row_; }

    /** An answer closes the scope until then. Answers that were on the wire together tell of one overrun, and the latest end
        counts. @return whether this is another overrun. */
    bool begin(steady_time until) noexcept {
        bool const another = !paused();
        until_ = another ? until : std::max(until_, until);
        if (another && in_a_row_ < 63) ++in_a_row_;
        phase_ = phase::paused;
        return another;
    }
    /// The same scope is known to another object as paused: no overrun of its own.
    void merge(pause const& other) noexcept {
        if (!other.paused()) return;
        until_ = paused() ? std::max(until_, other.until_) : other.until_;
        phase_ = phase::paused;
    }
    /// A call goes alone; without its answer another one may at `again`.
    void probe(steady_time again) noexcept {
        phase_ = phase::probing;
        until_ = again;
    }
    /// An answer that closes nothing: it opens the scope if it may be the probe's. @return whether it did.
    bool on_permitted() noexcept {
        bool const opens = probing();
        if (opens) phase_ = phase::open;
        if (open()) in_a_row_ = 0;
        return opens;
    }
    /// Open from now on, without a probe.
    void lift() noexcept { phase_ = phase::open; }
    /// Its time has come now, if it is closed: one call may go as its probe. No pause counts as in a row any more.
    void end_now() noexcept {
        in_a_row_ = 0;
        if (open()) return;
        phase_ = phase::paused;
        until_ = steady_time::min();
    }

private:
    enum class phase : std::uint8_t { open, paused, probing };
    steady_time until_ = steady_time::min();
    phase phase_ : 2 = phase::open;
    std::uint8_t in_a_row_ : 6 = 0;
};

}  // namespace jirapool
