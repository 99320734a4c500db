#include "engine/shard.hpp"

#include "engine/call_trace.hpp"
#include "engine/entry.hpp"
#include "engine/listed_wait.hpp"
#include "wait/retry_alarm.hpp"
#include "wait/spawn.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <new>

namespace jirapool::detail {

using namespace std::chrono_literals;

std::size_t shard_set::home_of(std::string_view site_key) const noexcept {
    return std::hash<std::string_view>{}(site_key) % shards.size();
}

/** Hears of the end of the executor's context, and has the shard when its last holder let go of it, which may have been a
    caller on any thread: it is destroyed on its executor, or with the context. */
class shard::watcher final : public context_life::member {
public:
    watcher(std::weak_ptr<shard> s, std::shared_ptr<context_life> l) noexcept
        : shard_(std::move(s)), life_(std::move(l)) {}

    void watch() { life_->enter(*this); }
    void leave() noexcept { life_->leave(*this); }

    void take(shard* dead) noexcept {
        auto const me = shared_from_this();
        {
            std::lock_guard const lock(mutex_);
            dead_ = dead;
            came_.notify_all();
        }
        // Gone: on_context_gone is on its way, and waits for it.
        life_->while_alive([&] {
            auto const ex = dead->context_->executor;
            try {
                asio::post(ex, [self = std::static_pointer_cast<watcher>(me)] { delete self->give(); });
            } catch (std::bad_alloc const&) {
                return;  // then it is destroyed with the context
            }
        });
    }

private:
    shard* give() noexcept {
        std::lock_guard const lock(mutex_);
        return std::exchange(dead_, nullptr);
    }
    void on_context_gone() noexcept override {
        if (auto const s = shard_.lock()) {
            s->abandon();
            return;
        }
        {
            std::unique_lock lock(mutex_);
            came_.wait(lock, [&] { return dead_ != nullptr; });
        }
        std::unique_ptr<shard> const last(give());
        last->abandon();
    }

    std::weak_ptr<shard> const shard_;
    std::shared_ptr<context_life> const life_;
    std::mutex mutex_;
    std::condition_variable came_;
    shard* dead_ = nullptr;
};

void shard::destroyer::operator()(shard* s) const noexcept {
    // Abandoned, it has nothing left that any thread could disturb.
    if (s->watcher_ && s->context_) {
        auto const w = s->watcher_;
        w->take(s);
    } else {
        delete s;
    }
}

std::shared_ptr<shard> shard::make(shard_environment e, std::shared_ptr<client_params const> p, std::size_t index,
                                   std::weak_ptr<shard_set> all) {
    std::shared_ptr<shard> s(new shard(std::move(e), std::move(p), index), destroyer());
    s->begin(std::move(all));
    return s;
}

/** Calls and drains that ended without the memory to be handed to their handler's executor: tried again every moment, also when the
    shard has stopped, and once more when it ends.

    @par Threads   `keep`: any. */
class shard::undelivered {
public:
    /// Without an alarm, as in the simulator, they are tried when the shard ends.
    explicit undelivered(std::unique_ptr<retry_alarm> a) noexcept : alarm_(std::move(a)) {}
    undelivered(undelivered const&) = delete;
    undelivered& operator=(undelivered const&) = delete;
    ~undelivered() {
        alarm_.reset();
        while (auto const e = take(first_)) e->finish_quietly();
    }

    void keep(std::shared_ptr<entry> e) noexcept {
        {
            std::lock_guard const lock(mutex_);
            e->next = std::move(first_);
            first_ = std::move(e);
        }
        if (alarm_) alarm_->ask();
    }

    /// What a handler throws leaves it, and the others wait for the next time.
    void deliver() {
        class rest {
        public:
            explicit rest(undelivered& u) noexcept : all_(u) {
                std::lock_guard const lock(all_.mutex_);
                first = std::move(all_.first_);
            }
            ~rest() {
                while (auto e = take(first)) all_.keep(std::move(e));
            }
            rest(rest const&) = delete;
            rest& operator=(rest const&) = delete;
            std::shared_ptr<entry> first;

        private:
            undelivered& all_;
        } now(*this);
        while (auto const e = take(now.first)) e->finish();
    }

private:
    static std::shared_ptr<entry> take(std::shared_ptr<entry>& first) noexcept {
        auto e = std::move(first);
        if (e) first = std::move(e->next);
        return e;
    }

    std::unique_ptr<retry_alarm> alarm_;
    std::mutex mutex_;
    std::shared_ptr<entry> first_;
};

shard::shard(shard_environment e, std::shared_ptr<client_params const> p, std::size_t index)
    : context_(std::make_shared<shard_context>(std::move(e), std::move(p))),
      stats_(context_->stats),
      place_(&asio::query(context_->executor, asio::execution::context)),
      life_(context_life::of_shard(context_->executor)),
      index_(index),
      connections_(stats_),
      surveyor_(*context_, connections_),
      board_(surveyor_.board()),
      health_(*context_, connections_, *this),
      origins_(context_),
      tokens_(*context_, connections_, origins_, health_),
      sites_(context_, connections_, origins_, *this),
      budgets_(context_->budgets) {}

shard::~shard() {
    if (watcher_) watcher_->leave();
    // Handles may outlive the shard; what hangs on its timers and pools may not.
    while (!connections_.all().empty()) connections_.leave(*connections_.all().back());
}

void shard::begin(std::weak_ptr<shard_set> all) {
    all_ = std::move(all);
    tokens_.set_owner(weak_from_this());
    sites_.set_owner(weak_from_this());
    watcher_ = std::make_shared<watcher>(weak_from_this(), life_);
    watcher_->watch();
    context_->clock.on_stop_request([weak = weak_from_this()] {
        if (auto const self = weak.lock()) self->stop();
    });
    std::unique_ptr<retry_alarm> retries;
    if (context_->retries)
        retries = std::make_unique<retry_alarm>(executor(), [weak = weak_from_this()] {
            if (auto const self = weak.lock(); self && self->undelivered_) self->undelivered_->deliver();
        });
    undelivered_ = std::make_unique<undelivered>(std::move(retries));
}

void shard::abandon() noexcept {
    // The coroutines that are destroyed in here hold the shard too, but for those of who calls this.
    kept_.reset();
    context_->clock.abandon();
    undelivered_.reset();
    surveyor_.drop();
    while (!connections_.all().empty()) connections_.leave(*connections_.all().back());
    origins_.abandon();
    sites_.abandon();
    // Sockets and executors must not outlive their context.
    context_.reset();
}

void shard::request_stop() noexcept {
    life_->while_alive([&] {
        kept_ = shared_from_this();
        context_->clock.request_stop();
    });
}

bool shard::runs_on(asio::any_io_executor const& ex) const noexcept {
    // On the same context, what this has is there, and no other thread's; or that context is gone, and a new one has its address.
    return ex && &asio::query(ex, asio::execution::context) == place_ && context_ && ex == context_->executor;
}

bool shard::deliver_later(std::shared_ptr<entry> e) noexcept {
    bool kept = false;
    life_->while_alive([&] {
        kept = undelivered_ != nullptr;
        if (kept) undelivered_->keep(std::move(e));
    });
    return kept;
}

// What removed connections leave behind. Looked at when the number of sites has doubled, or half as many connections as there are
// sites were removed, so that it costs nothing per call.
void shard::forget_unused() noexcept {
    sites_.forget_unused_sites();
    try {
        std::unordered_set<std::string_view> hosts;
        std::unordered_set<std::uint64_t> apps;
        for (auto const& e : connections_.all()) {
            hosts.insert(e->host());
            if (e->token) apps.insert(e->token->app());
        }
        budgets_.forget_unused(apps, context_->clock.now());
        sites_.forget_unused_hosts(hosts);
    } catch (std::bad_alloc const&) {
        removed_ = 0;  // it is looked at again, later
    }
    origins_.forget_unused();
    removed_ = 0;
}

void shard::count(connection_entry const& e, connection_change c) noexcept {
    stats_->connection_changes[static_cast<std::size_t>(e.kind)][static_cast<std::size_t>(c)].add();
}

void shard::add(std::shared_ptr<connection_entry> const& e) noexcept {
    count(*e, connection_change::added);
    begin_with(e);
}

bool shard::begin_with(std::shared_ptr<connection_entry> const& e) noexcept {
    // None: it is removed, or on its way to another shard.
    if (e->removed || context_->clock.stopped() || !e->state || e->state->site) return true;
    auto const s = e->state;
    board_->on_shards_thread();
    try {
        std::string const host(e->host());
        std::string key(e->site_key());
        if (auto const* const cloud = sites_.cloud_of(key)) {
            key = *cloud;
            if (auto const home = elsewhere(key)) {
                hand_over(e, s, *home, key, nullptr);
                return true;
            }
        }
        std::unique_ptr<token_source> token;
        if (e->kind == connection_kind::service_oauth) token = std::make_unique<token_source>(tokens_, *e);
        connections_.make_room();
        s->origin = origins_.at(host);
        s->site = sites_.at(key);
        if (sites_.crowded()) forget_unused();
        connections_.enter(e, s);
        health_.on_entered(*e);
        if (token) {
            e->token = std::move(token);
            e->token->set_client(s->client_id);
            tokens_.start(e, s);
        } else if (e->kind == connection_kind::personal_api_token) {
            if (key == host) sites_.ask_for_cloud_id(e);
            else s->site->current().on_claim(e->host_hash());
        }
        return true;
    } catch (std::bad_alloc const&) {
        if (s->site) connections_.leave(*e);
        s->site.reset();
        s->origin.reset();
        e->state = s;
        return false;
    }
}

quota_scopes shard::quotas_of(connection_entry const& e, connection_state const& s,
                              std::shared_ptr<budget_share>& over_sites) noexcept {
    quota_scopes q;
    q.at_site = e.token ? e.token->quota_at_site.get() : s.site->current().quota.get();
    over_sites = e.token ? budgets_.find(e.token->app(), e.token->looked_for_budget) : nullptr;
    q.over_sites = over_sites.get();
    q.of_account = e.account_limit.get();
    return q;
}

void shard::learn_quotas(connection_entry& e, connection_state& s, rate_headers const& h) {
    if (h.tenant_quota || tenant_quota_is_near(h) || h.reason == limit_reason::tenant_quota) {
        auto& quota = e.token ? e.token->quota_at_site : s.site->current().quota;
        if (!quota) quota = std::make_unique<points_quota>();
    }
    if (e.token && (h.global_quota || h.reason == limit_reason::global_quota)) budgets_.learn(e.token->app());
    bool const of_account = h.reason == limit_reason::account_cost || h.reason == limit_reason::account_calls;
    if (of_account) e.limit_of_account();
}

rate_headers shard::learn(std::shared_ptr<connection_entry> const& e, connection_state& s, route_match m,
                          response const& answer, steady_time now) {
    auto const said = read_rate_headers(answer, context_->clock.wall());
    if (said.retry_after_unreadable) stats_->retry_after_unreadable.add();
    if (said.near_limit) stats_->near_limit.add();
    if (answer.status() == 429) stats_->limited[static_cast<std::size_t>(said.reason)].add();
    if (s.site->current().left()) teach_elsewhere(e, m, answer.status(), said);
    else teach(*e, s, m, answer.status(), said, now);
    return said;
}

namespace {

/// Of the connection that met it.
bool holds_all_calls(limit_reason r) noexcept {
    switch (r) {
    case limit_reason::tenant_quota:
    case limit_reason::global_quota:
    case limit_reason::unknown:
    case limit_reason::account_cost:
    case limit_reason::account_calls: return true;
    case limit_reason::none:
    case limit_reason::burst:
    case limit_reason::issue_write:
    case limit_reason::other_product: break;
    }
    return false;
}

}  // namespace

void shard::teach(connection_entry& e, connection_state& s, route_match m, int status, rate_headers const& said,
                  steady_time now) {
    auto& site = s.site->current();
    bool const doubted = e.kind == connection_kind::personal_api_token && site.doubts(e.host_hash());
    auto const taken = doubted ? of_account_alone(said, status) : said;
    learn_quotas(e, s, taken);
    std::shared_ptr<budget_share> over_sites;
    auto const server = taken.date ? *taken.date : context_->clock.wall();
    auto const lesson = site.limiter.on_answer(m, quotas_of(e, s, over_sites), status, taken, now, server,
                                               context_->random);
    stats_->calls_of_others.add(lesson.others);
    stats_->calls_of_ours.add(lesson.ours);
    if (lesson.pause != limit_reason::none) {
        if (doubted) site.on_doubted_pause(e.host_hash(), lesson.until, now);
        else site.on_believed_pause(now);
        stats_->pauses[static_cast<std::size_t>(lesson.scope)][static_cast<std::size_t>(lesson.pause)].add();
        if (lesson.begins) report_pause(e, m.route, lesson.pause, lesson.scope);
        if (holds_all_calls(lesson.pause)) health_.on_limited(e, lesson.until);
    }
    if (site.limiter.waiting() > 0) site.pump();
}

void shard::report_pause(connection_entry const& e, route_id r, limit_reason why, limit_scope of) noexcept {
    try {
        event ev{event::kind::limit_pause, e.id, to_string(why)};
        if (of != limit_scope::app_quota) ev.scope = e.site_key();
        if (of != limit_scope::site && of != limit_scope::app_quota) ev.scope.push_back(' ');
        if (of != limit_scope::site) ev.scope.append(to_string(of));
        if (of == limit_scope::route) ev.scope.append(" ").append(route(r).name);
        context_->report(std::move(ev));
    } catch (std::bad_alloc const&) {
        return;  // the counter has it
    }
}

void shard::teach_elsewhere(std::shared_ptr<connection_entry> const& e, route_match m, int status,
                            rate_headers const& said) noexcept {
    auto const all = all_.lock();
    if (!all) return;
    try {
        auto const other = all->shards[e->home.load(std::memory_order_acquire)];
        other->post([other, e, id = m.route, issue = std::string(m.issue), status, said] {
            try {
                if (other->index_ != e->home.load(std::memory_order_acquire))
                    return other->teach_elsewhere(e, {id, issue}, status, said);
                if (!e->state || !e->state->site) return;
                other->teach(*e, *e->state, {id, issue}, status, said, other->context_->clock.now());
            } catch (std::bad_alloc const&) {
                return;  // the next answer says it again
            }
        });
    } catch (std::bad_alloc const&) {
        return;  // the same
    }
}

void shard::tell_health(std::shared_ptr<connection_entry> const& e, connection_state const& s, answer_sign says,
                        route_id r, call_purpose p, steady_time now) noexcept {
    if (s.site->current().left()) return tell_health_elsewhere(e, s.secret_number, says, r, p);
    // What an old secret is worth says nothing of the new one.
    if (!e->state || e->state->secret_number != s.secret_number) return;
    bool const pause = says != answer_sign::works && s.site->current().limiter.paused_until(now) != steady_time::min();
    health_.on_answer(*e, says, r, p, pause, now);
}

void shard::tell_health_elsewhere(std::shared_ptr<connection_entry> const& e, std::uint8_t secret_number,
                                  answer_sign says, route_id r, call_purpose p) noexcept {
    auto const all = all_.lock();
    if (!all) return;
    try {
        auto const other = all->shards[e->home.load(std::memory_order_acquire)];
        other->post([other, e, secret_number, says, r, p] {
            if (!e->state || !e->state->site || other->index_ != e->home.load(std::memory_order_acquire)) return;
            if (e->state->secret_number == secret_number)
                other->tell_health(e, *e->state, says, r, p, other->context_->clock.now());
        });
    } catch (std::bad_alloc const&) {
        return;  // the next answer says it again
    }
}

void shard::replace(std::shared_ptr<connection_entry> const& e, std::shared_ptr<connection_state> s) {
    if (e->removed || !e->state) return;
    count(*e, connection_change::replaced);
    s->secret_number = static_cast<std::uint8_t>(e->state->secret_number + 1);
    if (!e->state->site) {
        e->state = std::move(s);
        return;
    }
    s->origin = e->state->origin;
    s->site = e->state->site;
    e->state = s;
    if (e->token) {
        e->token->set_client(s->client_id);
        e->token->fsm.on_secret_replaced(context_->clock.now());
        tokens_.start(e, s);
    }
    health_.on_replaced(*e);
    health_.on_entered(*e);
}

void shard::remove(std::shared_ptr<connection_entry> const& e) {
    count(*e, connection_change::removed);
    if (!e->state || !e->state->site) {
        e->state.reset();
        return;
    }
    auto const s = connections_.leave(*e);
    if (e->token) e->token->wake_all();
    s->site->current().end_waits_of(*e);
    if (auto const* const flow = s->site->known_flow_at(s->origin)) s->origin->end_waits_of(*flow, *e);
    ++removed_;
    if (removed_ >= 64 && 2 * removed_ >= sites_.size()) forget_unused();
}

void shard::reset_limits(connection_entry const& e) noexcept {
    if (!e.state || !e.state->site) return;
    auto& site = e.state->site->current();
    site.limiter.reset();
    std::shared_ptr<budget_share> over_sites;
    quotas_of(e, *e.state, over_sites).reset();
    site.pump_soon();
}

void shard::stop() {
    auto const self = std::move(kept_);
    origins_.stop();
    context_->clock.stop();
}

asio::awaitable<bool> shard::drain(std::shared_ptr<shard> self, std::chrono::milliseconds patience,
                                   std::shared_ptr<std::atomic<bool> const> over) {
    self->refuse_calls();
    auto const deadline = deadline_after(self->context_->clock.now(), patience);
    auto const& calls = self->stats_->calls_in_flight;
    wake why = wake::notified;
    while (calls.value() > 0 && !*over && why == wake::notified) {
        listed_wait last(self->drains_, self->context_->clock, self->executor());
        why = co_await last.point.wait(deadline);
    }
    co_return calls.value() == 0;
}

void shard::wake_drains() noexcept {
    for (auto* const d : drains_) d->notify();
}

void shard::count_cancelled(connection_kind k, request const& r) noexcept {
    call_trace::count_unbegun(*stats_, {k, class_of(classify_route(r.method(), r.target()).route), r.priority()},
                              outcome::cancelled);
}

void shard::on_call_ended() {
    if (stats_->calls_in_flight.value() == 0) wake_drains();
}

survey_board::ticket shard::ask_for_survey(bool all, steady_time now) noexcept {
    auto const t = board_->ask(all, now);
    if (!t.begins) return t;
    bool asked = false;
    try {
        asked = post([weak = weak_from_this()] {
            if (auto const self = weak.lock()) self->survey_piece();
        });
    } catch (std::bad_alloc const&) {
        asked = false;  // as if the shard was gone: what was seen before is there
    }
    if (!asked) board_->give_up();
    return t;
}

namespace {

/// `Executor`: one that can tell.
template <class... Executor>
bool runs_in_this_thread(asio::any_io_executor const& ex) noexcept {
    return ([&] {
        auto const* const of_kind = ex.target<Executor>();
        return of_kind != nullptr && of_kind->running_in_this_thread();
    }() || ...);
}

}  // namespace

bool shard::runs_here() const noexcept {
    bool here = false;
    life_->while_alive([&] {
        here = runs_in_this_thread<asio::io_context::executor_type, asio::strand<asio::any_io_executor>,
                                   asio::strand<asio::io_context::executor_type>,
                                   asio::strand<asio::thread_pool::executor_type>>(context_->executor);
    });
    return here;
}

void shard::survey_piece() noexcept {
    if (!context_ || !surveyor_.go_on()) return;
    try {
        post([weak = weak_from_this()] {
            if (auto const self = weak.lock()) self->survey_piece();
        });
    } catch (std::bad_alloc const&) {
        surveyor_.drop();
    }
}

void shard::begin_check(std::shared_ptr<connection_entry> const& e) {
    spawn(shared_from_this(), context_->clock, executor(), check(shared_from_this(), e));
}

asio::awaitable<void> shard::check(std::shared_ptr<shard> self, std::shared_ptr<connection_entry> e) {
    // What it ends with says nothing that its answer has not.
    [[maybe_unused]] auto const ended = co_await call(self, e, request::check().priority(priority::background),
                                                      body_streams(), nullptr);
    self->health_.on_check_ended(*e);
}

std::optional<std::size_t> shard::elsewhere(std::string_view site_key) const noexcept {
    auto const all = all_.lock();
    if (!all) return std::nullopt;
    auto const home = all->home_of(site_key);
    return home == index_ ? std::nullopt : std::optional(home);
}

void shard::hand_over(std::shared_ptr<connection_entry> const& e, std::shared_ptr<connection_state> s, std::size_t home,
                      std::string const& cloud, std::shared_ptr<site_lessons const> lessons) {
    auto const all = all_.lock();
    if (!all) return;
    auto const next = all->shards[home];
    next->post([next, e, s, cloud, lessons = std::move(lessons)] { next->take_over(e, s, cloud, lessons.get()); });
    // After the post: a caller that reads the new home posts behind it.
    e->home.store(static_cast<std::uint16_t>(home), std::memory_order_release);
}

void shard::take_over(std::shared_ptr<connection_entry> const& e, std::shared_ptr<connection_state> s,
                      std::string const& cloud, site_lessons const* lessons) noexcept {
    sites_.remember(e->host(), cloud);
    e->state = std::move(s);
    [[maybe_unused]] bool const begun = begin_with(e);
    if (lessons != nullptr && e->state && e->state->site) sites_.take_over(*e, *lessons);
}

}  // namespace jirapool::detail
