#pragma once

#include "engine/shard_context.hpp"
#include "wait/timers.hpp"
#include "wait/wait_point.hpp"

#include <jirapool/core/fair_queue.hpp>
#include <jirapool/core/latency_estimate.hpp>
#include <jirapool/core/limiter.hpp>
#include <jirapool/core/retry.hpp>
#include <jirapool/core/stats.hpp>
#include <jirapool/core/trouble.hpp>
#include <jirapool/pool/params.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace jirapool::detail {

struct connection_entry;
class origin_pool;

/// A call at the limiter.
struct admit_waiter : limiter_waiter {
    admit_waiter(site_limiter& l, route_match m, jirapool::priority p, quota_scopes q, held_set waits_for,
                 connection_entry const& e, std::atomic<std::uint32_t>& permits_in_use, timers& t,
                 asio::any_io_executor const& ex)
        : limiter_waiter(m, p, q, waits_for), limiter(l), entry(e), in_flight(permits_in_use), point(t, ex) {}
    // Also when the coroutine is destroyed in the middle of its wait.
    ~admit_waiter() { limiter.remove(*this); }
    site_limiter& limiter;
    connection_entry const& entry;
    std::atomic<std::uint32_t>& in_flight;  ///< the entry's
    wait_point point;
    bool permitted = false;
    bool moved = false;  ///< its site is another object now: it is to wait there
};

/** One Jira site in its shard: its limits, its retry budget and its place in the origins' queues. Shared by all
    connections of the site, whichever way they reach it. */
class site_state final : public timed {
public:
    explicit site_state(std::shared_ptr<shard_context> c)
        : limiter(c->params->limits),
          budget(c->params->retries),
          context_(std::move(c)),
          room_(context_->clock, *this) {
        context_->stats->sites.add(1);
    }
    ~site_state() override {
        context_->tracks.free(track);
        context_->stats->sites.add(-1);
    }

    /// Lets go whoever may go now, and looks again when the next one may, or when there may be memory to look.
    void pump() noexcept {
        auto const now = context_->clock.now();
        try {
            while (auto* const w = static_cast<admit_waiter*>(limiter.release(now))) {
                w->permitted = true;
                w->in_flight.fetch_add(1, std::memory_order_relaxed);
                w->point.notify();
            }
            context_->clock.set(*this, limiter.next_release(now));
        } catch (std::bad_alloc const&) {
            context_->clock.set(*this, now + without_memory);
        }
    }

    /// The same a moment later, where there may be no memory for it now.
    void pump_soon() noexcept { context_->clock.set(*this, context_->clock.now()); }

    /** The site turned out to be one that `other` is: what was learned here, what is in flight and who waits is that one's
        from now on. May throw bad_alloc, and has done nothing then that a second time would not. */
    void become(std::shared_ptr<site_state> const& other, site_limiter::word w) {
        auto const waiting = take_waiting();
        other->limiter.absorb(limiter, w);
        if (w == site_limiter::word::told && quota && !other->quota)
            other->quota = std::make_unique<points_quota>(*quota);
        successor_ = other;
        send_on(waiting);
        other->pump();
    }
    /// The same for one on another shard, which has been told.
    void leave() {
        auto const waiting = take_waiting();
        left_ = 1;
        send_on(waiting);
    }
    /// Its connections are another shard's: nothing new goes out from here.
    bool left() const noexcept { return left_ != 0; }
    /// Itself, or what it has become.
    site_state& current() noexcept {
        auto* s = this;
        while (s->successor_) s = s->successor_.get();
        return *s;
    }

    /* Whose word counts. That a host is the site with a cloud ID is what the host says: where connections that name the cloud ID
       themselves were answered before, or another host said the same, its pauses and rates are taken for its own accounts' alone.
       Once both sides say at the same time that they are limited, it is believed, in place of the one before: a site that was
       renamed has another host. */

    /// What is kept of a host's hash.
    static constexpr std::uint32_t host_bits = 0x3fffffff;

    /// A call that names the cloud ID was answered well.
    void on_gateway_accepted() noexcept { by_gateway_ = 1; }
    /// A host says that it is this site. @return what of its site's knowledge counts here.
    site_limiter::word on_claim(std::uint32_t host) noexcept {
        auto const w = doubts(host) ? site_limiter::word::counted : site_limiter::word::told;
        if (host_ == 0) host_ = host & host_bits;
        return w;
    }
    bool doubts(std::uint32_t host) const noexcept {
        if (host_ != 0 && host_ != host) return true;
        return by_gateway_ && !host_agrees_;
    }
    /// A host that is not believed says that it is limited until then.
    void on_doubted_pause(std::uint32_t host, steady_time until, steady_time now) noexcept {
        doubted_host_ = host & host_bits;
        doubted_pause_ = until;
        if (limiter.paused_until(now) != steady_time::min()) believe();
    }
    /// One whose word counts says that it is limited.
    void on_believed_pause(steady_time now) noexcept {
        if (now < doubted_pause_) believe();
    }

    /// The connection was removed: those of its calls that wait for permits wait no more.
    void end_waits_of(connection_entry const& e) {
        for (auto* const w : limiter.waiting_calls()) {
            auto& waiting = *static_cast<admit_waiter*>(w);
            if (&waiting.entry != &e) continue;
            limiter.remove(waiting);
            waiting.point.notify();
        }
        pump();
    }

private:
    void believe() noexcept {
        host_ = doubted_host_;
        host_agrees_ = 1;
    }
    std::vector<limiter_waiter*> take_waiting() const {
        auto all = limiter.waiting_calls();
        std::sort(all.begin(), all.end(), [](auto const* a, auto const* b) { return a->arrival() < b->arrival(); });
        return all;
    }
    void send_on(std::vector<limiter_waiter*> const& waiting) noexcept {
        for (auto* const w : waiting) {
            auto& call = *static_cast<admit_waiter*>(w);
            limiter.remove(call);
            call.moved = true;
            call.point.notify();
        }
    }

    // Until it is tried again: those whose turn it is must not wait for somebody else's call to come by.
    static constexpr steady_duration without_memory = std::chrono::milliseconds(10);

    void on_time() override { pump(); }
    void on_stop() override {}

public:
    site_limiter limiter;
    retry_budget budget;
    latency_estimate exchange_time;
    trouble_score trouble;
    std::uint16_t surveyed = 0;  ///< the surveyor's own
    site_tracks::track track = 0;
    std::unique_ptr<points_quota> quota;  ///< of calls with API tokens, which are nobody's app

    /// One of its calls ended.
    void count(call_fault f) noexcept {
        context_->tracks.count(track, f);
        if (f != call_fault::none && f != call_fault::caller) trouble.add(context_->clock.now());
    }

    /// Its place in the queue of an origin. One for each: a renamed site has two hosts for a while, and a flow that stood in
    /// two queues would be given a channel to the wrong one.
    fair_flow& flow_at(std::shared_ptr<origin_pool> const& origin) {
        if (auto* const known = known_flow_at(origin)) return *known;
        // What a flow remembers is of its queue alone, so it goes with it.
        flows_.remove_if([](origin_flow const& f) { return f.origin.expired(); });
        return flows_.emplace_front(origin).flow;
    }

    /// Null: it was in no queue there yet.
    fair_flow* known_flow_at(std::shared_ptr<origin_pool> const& origin) noexcept {
        for (auto& f : flows_)
            if (f.origin.lock() == origin) return &f.flow;
        return nullptr;
    }

private:
    struct origin_flow {
        explicit origin_flow(std::weak_ptr<origin_pool> o) noexcept : origin(std::move(o)) {}
        std::weak_ptr<origin_pool> origin;
        fair_flow flow;
    };
    std::forward_list<origin_flow> flows_;
    std::shared_ptr<shard_context> const context_;
    timer_room room_;
    std::shared_ptr<site_state> successor_;
    steady_time doubted_pause_ = steady_time::min();
    // Hashes of the host whose word counts, and of the last that was doubted. In 8 bytes, as there may be a million sites.
    std::uint32_t host_ : 30 = 0;
    std::uint32_t by_gateway_ : 1 = 0;
    std::uint32_t left_ : 1 = 0;
    std::uint32_t doubted_host_ : 30 = 0;
    std::uint32_t host_agrees_ : 1 = 0;
};

}  // namespace jirapool::detail
