#include "programs_world.hpp"

#include "wire/fixture.hpp"

#include <boost/asio/multiple_exceptions.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

namespace jirapool::border_test {

namespace {

/// A promise of client.hpp; sanitizers and a machine that others use make it longer.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr auto end_limit = 3s;
#else
constexpr auto end_limit = 1s;
#endif

mock::params world_of_the_mock() {
    auto p = wire_test::small_world();
    p.burst_scale = 1000;
    p.token_lifetime = 1500ms;
    p.token_expires_in = 2s;
    p.threads = 1;
    return p;
}

}  // namespace

surroundings::surroundings()
    : jira_(world_of_the_mock()), silent_(io_, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    jira_.start();
    auto const ca = std::make_shared<wire_test::ca_file>(jira_.ca_pem());
    ca_ = ca;
    params_.user_agent = "jirapool-tests/1 (+tests@example.com)";
    params_.tls.ca_file = ca->path();
    // Of the three sites one refuses connections and one accepts none.
    auto const& sites = jira_.world().sites();
    params_.connect_to.push_back({sites[1].host, "127.0.0.1", 1});
    params_.connect_to.push_back({sites[2].host, "127.0.0.1", silent_.local_endpoint().port()});
    params_.connect_to.push_back({"", "127.0.0.1", jira_.port()});
}

connection_config surroundings::config(std::size_t which) const {
    auto const& w = jira_.world();
    return wire_test::fixture::config_of(w, w.connections()[which % w.connections().size()]);
}

user_context::user_context(world& w, std::size_t index, kind k) : world_(w) {
    state_->index = index;
    if (k == kind::pool) {
        pool_ = std::make_unique<asio::thread_pool>(2);
        state_->plain = pool_->get_executor();
        state_->serial = asio::make_strand(*pool_);
        state_->must_not_throw = true;
        state_->runs_here = [p = pool_.get()] { return p->get_executor().running_in_this_thread(); };
        return;
    }
    io_ = std::make_unique<asio::io_context>(k == kind::two_threads ? 2 : 1);
    state_->plain = io_->get_executor();
    plain_is_serial_ = k != kind::two_threads;
    state_->serial = plain_is_serial_ ? state_->plain : asio::any_io_executor(asio::make_strand(*io_));
    state_->runs_here = [p = io_.get()] { return p->get_executor().running_in_this_thread(); };
    state_->poll_one = [p = io_.get()] { p->poll_one(); };
    for (auto n = k == kind::polled ? 0 : k == kind::one_thread ? 1 : 2; n > 0; --n)
        threads_.emplace_back([this] { run(); });
}

void user_context::left(char const* function, std::exception_ptr e) const {
    try {
        std::rethrow_exception(std::move(e));
    } catch (thrown const&) {
        return;  // what a user's handler throws goes through a client's executor, and nothing is the worse for it
    } catch (asio::multiple_exceptions const& several) {
        // Of handlers that ran in one turn of the context, as those of a client's calls that end together.
        left(function, several.first_exception());
    } catch (std::exception const& other) {
        world_.complain(std::string("an exception that is no user's left io_context::") + function + ": " +
                        other.what());
    }
}

void user_context::run() {
    users_thread = true;
    auto const work = asio::make_work_guard(*io_);
    while (!io_->stopped()) {
        try {
            io_->run();
        } catch (...) {
            left("run", std::current_exception());
        }
    }
}

void user_context::poll() {
    if (!is_polled()) return;
    for (;;) {
        try {
            io_->restart();
            if (io_->poll() == 0) return;
        } catch (...) {
            left("poll", std::current_exception());
        }
    }
}

user_context::~user_context() {
    if (io_) io_->stop();
    if (pool_) pool_->stop();
    for (auto& t : threads_) t.join();
    if (pool_) pool_->join();
    state_->going = true;
    state_->plain = {};
    state_->serial = {};
    io_.reset();
    pool_.reset();
}

visit::visit(world& w) : world_(w) { ++w.visits; }
visit::~visit() { --world_.visits; }

host::host(world& w, user_context& c, bool serial, client_params p) : at_work_(w), world_(w), base_(c.state()) {
    client_ = std::make_unique<client>(serial ? c.serial() : c.plain(), std::move(p));
}

host::host(world& w, unsigned threads, client_params p)
    : at_work_(w), world_(w), runtime_(std::make_unique<runtime>(threads, std::move(p))) {}

host::~host() {
    ++ending_hosts;
    running_others const here;
    auto const stats = client_ ? detail::stats_access::of(*client_) : detail::stats_access::of(*runtime_);
    auto const begun = std::chrono::steady_clock::now();
    client_.reset();
    runtime_.reset();
    auto const took = std::chrono::steady_clock::now() - begun;
    --ending_hosts;
    std::atomic_ref<std::uint64_t> hedges(world_.report.hedges);
    for (auto const& s : stats) hedges += s->resends[static_cast<std::size_t>(resend_reason::hedge)].value();
    auto const us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    std::atomic_ref<std::uint64_t> slowest(world_.report.slowest_end_us);
    for (auto before = slowest.load(); before < us && !slowest.compare_exchange_weak(before, us);) {
    }
    if (took > end_limit)
        world_.complain(std::string("the destructor of a ") + (base_ ? "client" : "runtime") + " took " +
                        std::to_string(us / 1000) + " ms");
}

std::shared_ptr<border_test::host> world::host_at(std::size_t i) const {
    std::lock_guard const lock(mutex_);
    return hosts_[i % hosts_.size()];
}

void world::put_host(std::size_t i, std::shared_ptr<border_test::host> h) {
    // The one that stood there ends with the parameter, outside of the lock.
    std::lock_guard const lock(mutex_);
    hosts_[i % hosts_.size()].swap(h);
}

void world::end_host(std::shared_ptr<border_test::host> h) {
    std::lock_guard const lock(mutex_);
    for (auto& stands : hosts_)
        if (stands == h) stands.reset();
    // The last one to hold it is now the caller, or whoever calls a function of its at this moment.
}

world::handle world::handle_at(std::size_t i) const {
    std::lock_guard const lock(mutex_);
    return handles_[i % handles_.size()];
}

void world::put_handle(std::size_t i, handle h) {
    std::lock_guard const lock(mutex_);
    std::swap(handles_[i % handles_.size()], h);
}

user_context* world::owner_of_signal(std::size_t i) const {
    return i >= 1 && i <= context_slots ? contexts[i - 1].get() : nullptr;
}

void world::at_signal(std::size_t i, bool at_once, std::function<void()> f) {
    auto* const c = owner_of_signal(i);
    if (c && !(at_once && c->is_polled())) asio::post(c->serial(), std::move(f));
    else f();
}

asio::cancellation_slot world::take_slot(std::size_t i, std::shared_ptr<ticket> const& t) {
    auto& s = signals[i];
    if (!s.s || (s.user && !s.user->over())) return {};
    s.user = t;
    return s.s->slot();
}

std::shared_ptr<ticket> world::new_ticket(char const* what, handle const& h, std::shared_ptr<context_state> own,
                                          std::uint8_t reaction) {
    auto t = std::make_shared<ticket>();
    t->what = what;
    t->reaction = reaction;
    t->own = std::move(own);
    t->base = h.base;
    t->host = h.owner;
    t->handle = h.c;
    std::lock_guard const lock(mutex_);
    t->number = tickets_.size();
    tickets_.push_back(t);
    return t;
}

void world::check_place(ticket const& t, bool at_once, std::string const& with) {
    auto const runs = [](context_state const& s) { return s.going || s.runs_here(); };
    if (t.own) {
        if (!runs(*t.own)) complain(std::string(t.what) + ": its handler ran outside of its own executor");
        return;
    }
    if (starting > 0) {
        if (!at_once) complain(std::string(t.what) + ": its handler ran inside of what started it, with " + with);
        return;
    }
    if (t.base) {
        if (!runs(*t.base)) complain(std::string(t.what) + ": its handler ran outside of its client's executor");
        return;
    }
    if (users_thread && ending_hosts == 0) complain(std::string(t.what) + ": its handler ran on no shard's thread");
}

void world::complain(std::string const& text) {
    std::lock_guard const lock(mutex_);
    auto const length = std::strlen(report.complaint);
    std::snprintf(report.complaint + length, sizeof report.complaint - length, "%s\n", text.c_str());
}

void world::poll() {
    for (auto const& c : contexts)
        if (c) c->poll();
}

std::size_t world::open_calls() const {
    std::lock_guard const lock(mutex_);
    return static_cast<std::size_t>(std::count_if(tickets_.begin(), tickets_.end(),
                                                  [](auto const& t) { return !t->over(); }));
}

bool world::wait(std::chrono::milliseconds limit, std::function<bool()> const& condition) {
    return wire_test::eventually(
        [&] {
            poll();
            return condition();
        },
        limit);
}

world::~world() {
    for (std::size_t i = 0; i < hosts_.size(); ++i) put_host(i, nullptr);
    // Nothing but contexts is left: what has not ended comes to its handler there, or never.
    if (!wait(5s, [this] { return open_calls() == 0; }))
        complain(std::to_string(open_calls()) + " calls never ended, though their clients are gone");
    for (auto& c : contexts) c.reset();
    if (!wire_test::eventually([this] { return open_calls() == 0; }, 2s))
        complain(std::to_string(open_calls()) + " handlers exist though all else is gone");
    for (auto& s : signals) s.user = nullptr;
    for (auto& h : handles_) h = {};
    std::uint64_t lost = 0;
    std::uint64_t twice = 0;
    for (auto const& t : tickets_) {
        if (!t->begun) continue;
        if (t->answer.valid()) {
            if (!t->over()) ++lost;
            else try {
                    (void)t->answer.get();
                } catch (std::future_error const&) {
                    if (!t->base || !t->base->going) ++lost;
                }
            continue;
        }
        if (t->completed + t->dropped == 0) ++lost;
        if (t->completed + t->dropped > 1) ++twice;
    }
    report.calls += tickets_.size();
    report.lost += lost;
    report.twice += twice;
    if (lost) complain(std::to_string(lost) + " calls lost");
    if (twice) complain(std::to_string(twice) + " calls ended twice");
    tickets_.clear();
    if (!wire_test::eventually([this] { return streams == 0; }, 2s))
        complain(std::to_string(streams.load()) + " sinks and sources are left");
    if (!wire_test::eventually([this] { return visits == 0; }, 5s))
        complain(std::to_string(visits.load()) + " handlers or hosts are still at work");
}

completion::~completion() {
    if (!ticket_) return;
    ++ticket_->dropped;
    // Without an executor of its own it goes with its client's.
    auto const& place = ticket_->own ? ticket_->own : ticket_->base;
    if (place && place->going) return;
    std::atomic_ref(world_->report.lost).fetch_add(1);
    world_->complain(std::string(ticket_->what) + ": its handler was destroyed uncalled");
}

void completion::called(bool at_once, std::string const& with) {
    auto const t = std::move(ticket_);
    if (!t) {
        std::atomic_ref(world_->report.twice).fetch_add(1);
        world_->complain("a handler was called twice");
        return;
    }
    visit const at_work(*world_);
    world_->check_place(*t, at_once, with);
    // Before the handler does anything: what it starts may use the same signal.
    ++t->completed;
    world_->react(*t, t->reaction);
}

}  // namespace jirapool::border_test
