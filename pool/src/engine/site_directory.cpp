#include "engine/site_directory.hpp"

#include "wait/spawn.hpp"

#include <jirapool/core/tenant_info.hpp>

#include <algorithm>
#include <new>

namespace jirapool::detail {

using namespace std::chrono_literals;

namespace {

constexpr auto resolve_deadline = 20s;
constexpr auto resolve_retry = 5s;
constexpr auto resolve_retry_max = 600s;
constexpr auto ask_again_after = 24h;  // a name may be another customer's a year later

}  // namespace

std::shared_ptr<site_state> site_directory::at(std::string const& key) {
    auto& known = sites_[key];
    if (auto s = known.lock()) return s;
    auto s = std::make_shared<site_state>(context_);
    known = s;
    return s;
}

std::string const* site_directory::cloud_of(std::string const& host) const noexcept {
    auto const known = cloud_of_host_.find(host);
    if (known == cloud_of_host_.end() || context_->clock.now() - known->second.asked >= ask_again_after) return nullptr;
    return &known->second.id;
}

void site_directory::ask_for_cloud_id(std::shared_ptr<connection_entry> const& e) {
    std::string const host(e->host());
    auto& waiting = asking_[host];
    waiting.push_back(e);
    if (waiting.size() > 1) return;
    try {
        spawn(context_, context_->clock, context_->executor, run(shared(), host));
    } catch (std::bad_alloc const&) {
        asking_.erase(host);
        throw;
    }
}

/// Asks once. True: the host's connections are where they belong.
asio::awaitable<bool> site_directory::learn_cloud_id(std::shared_ptr<site_directory> self, std::string host,
                                                     failure* why) {
    auto const pool = self->origins_.at(host);
    fair_flow flow;
    auto leased = co_await pool->acquire_in_background(&flow);
    if (!leased.lease) {
        *why = std::move(leased.error);
        co_return false;
    }
    if (!self->anybody_asks_for(host)) {
        leased.lease.give_back();
        co_return true;
    }
    exchange_input in;
    in.target = tenant_info_target;
    pool->address(in);
    in.deadline = self->context_->clock.now() + resolve_deadline;
    response out;
    auto report = co_await leased.lease.channel().exchange(&in, &out);
    leased.lease.end(report);
    if (report.error.code()) {
        *why = std::move(report.error);
        co_return false;
    }
    auto const cloud = read_tenant_info(out.status(), out.body());
    if (cloud) self->adopt(host, cloud->str());
    else *why = cloud.error();
    co_return cloud.has_value();
}

asio::awaitable<void> site_directory::run(std::shared_ptr<site_directory> self, std::string host) {
    steady_duration pause = resolve_retry;
    for (int attempt = 1; !self->context_->clock.stopped() && self->anybody_asks_for(host); ++attempt) {
        failure why;
        try {
            bool const learned = co_await learn_cloud_id(self, host, &why);
            if (learned) co_return;
            if (attempt == 3 && !self->context_->clock.stopped()) {
                if (why.peer().empty()) why = std::move(why).with_peer(host);
                event e{event::kind::site_unresolved, {}, why.describe()};
                e.code = why.code();
                e.scope = host;
                self->context_->report(std::move(e));
            }
        } catch (std::bad_alloc const&) {
            why = make_error_code(boost::system::errc::not_enough_memory);
        }
        wait_point point(self->context_->clock, self->context_->executor);
        auto const jittered = steady_duration(static_cast<steady_duration::rep>(
            uniform(self->context_->random, 0.5, 1.0) * static_cast<double>(pause.count())));
        try {
            co_await point.wait(self->context_->clock.now() + jittered);
        } catch (std::bad_alloc const&) {
            // The host's next connection begins anew.
            self->asking_.erase(host);
            co_return;
        }
        pause = std::min<steady_duration>(pause * 2, resolve_retry_max);
    }
}

bool site_directory::anybody_asks_for(std::string const& host) {
    auto& waiting = asking_[host];
    std::erase_if(waiting, [](auto const& weak) {
        auto const e = weak.lock();
        return !e || e->removed;
    });
    if (!waiting.empty()) return true;
    asking_.erase(host);
    return false;
}

void site_directory::adopt(std::string const& host, std::string const& cloud) {
    auto const known = cloud_of_host_.find(host);
    if (known != cloud_of_host_.end() && known->second.id != cloud) part_from_old_site(host);
    cloud_of_host_.insert_or_assign(host, known_cloud{cloud, context_->clock.now()});
    auto const elsewhere = homes_.elsewhere(cloud);
    std::shared_ptr<site_lessons> lessons;
    std::shared_ptr<site_state> left_behind;
    // One after the other, so that lack of memory leaves the rest to be asked for again.
    for (auto& waiting = asking_[host]; !waiting.empty(); waiting.pop_back()) {
        auto const e = waiting.back().lock();
        if (!e || e->removed || !e->state || !e->state->site) continue;
        if (!elsewhere) {
            join(*e, cloud);
            continue;
        }
        left_behind = e->state->site;
        if (!lessons) {
            lessons = std::make_shared<site_lessons>(site_limiter(context_->params->limits), nullptr);
            lessons->limiter.merge(left_behind->limiter);
            if (left_behind->quota) lessons->quota = std::make_unique<points_quota>(*left_behind->quota);
        }
        auto s = e->state->without_site();
        auto const left = connections_.leave(*e);
        try {
            homes_.hand_over(e, std::move(s), *elsewhere, cloud, lessons);
        } catch (std::bad_alloc const&) {
            connections_.enter(e, left);
            throw;
        }
    }
    asking_.erase(host);
    // Who waits here follows; the answers of those in flight are told there.
    if (left_behind) left_behind->leave();
}

void site_directory::part_from_old_site(std::string const& host) {
    auto& waiting = asking_[host];
    sites_.erase(host);
    auto const fresh = std::make_shared<site_state>(context_);
    for (auto const& e : connections_.all()) {
        if (e->kind != connection_kind::personal_api_token || e->host() != host || !e->state->site) continue;
        auto s = e->state->without_site();
        s->origin = e->state->origin;
        s->site = fresh;
        e->state = std::move(s);
        if (std::none_of(waiting.begin(), waiting.end(), [&](auto const& w) { return w.lock() == e; }))
            waiting.push_back(e);
    }
}

/// One site, two names: the first who comes under a name brings the object, the second one's becomes that.
void site_directory::join(connection_entry& e, std::string const& cloud) {
    auto const mine = e.state->site;
    auto& named = sites_[cloud];
    auto const site = named.lock();
    if (!site) {
        named = mine;
        mine->on_claim(e.host_hash());
        return;
    }
    if (site == mine) return;
    auto const w = site->on_claim(e.host_hash());
    if (w == site_limiter::word::counted) pause_account(e, mine->limiter, mine->quota.get());
    // A new state: calls in flight find the way from the old one.
    auto s = e.state->without_site();
    s->origin = e.state->origin;
    s->site = site;
    if (&mine->current() != site.get()) mine->become(site, w);
    e.state = std::move(s);
}

void site_directory::pause_account(connection_entry& e, site_limiter const& l, points_quota const* q) {
    auto const now = context_->clock.now();
    auto until = std::max(l.paused_until(now), l.issues_paused_until(now));
    if (q != nullptr && q->closed(now)) until = std::max(until, q->earliest(now));
    if (until == steady_time::min()) return;
    e.limit_of_account().close(limit_reason::none, until, now);
}

void site_directory::remember(std::string_view host, std::string const& cloud) noexcept {
    try {
        cloud_of_host_.insert_or_assign(std::string(host), known_cloud{cloud, context_->clock.now()});
    } catch (std::bad_alloc const&) {
        return;  // then it is asked for here once more
    }
}

void site_directory::take_over(connection_entry& e, site_lessons const& lessons) noexcept {
    try {
        auto& site = e.state->site->current();
        auto const w = site.on_claim(e.host_hash());
        if (w == site_limiter::word::counted) pause_account(e, lessons.limiter, lessons.quota.get());
        else if (lessons.quota && !site.quota) site.quota = std::make_unique<points_quota>(*lessons.quota);
        site.limiter.merge(lessons.limiter, w);
    } catch (std::bad_alloc const&) {
        return;  // answers teach it again
    }
}

void site_directory::forget_unused_sites() noexcept {
    std::erase_if(sites_, [](auto const& s) { return s.second.expired(); });
    forget_at_ = 2 * sites_.size() + 64;
}

void site_directory::forget_unused_hosts(std::unordered_set<std::string_view> const& used) noexcept {
    std::erase_if(cloud_of_host_, [&](auto const& c) { return !used.contains(c.first); });
}

}  // namespace jirapool::detail
