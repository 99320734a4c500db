#include "engine_world.hpp"

#include "wait/wait_point.hpp"

#include <jirapool/core/explanation.hpp>
#include <jirapool/core/tenant_info.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>

namespace jirapool::sim {

using namespace detail;
using namespace std::chrono_literals;

/// A channel whose other end is the model.
class sim_channel final : public channel {
public:
    sim_channel(std::string host, engine_world& w, std::size_t shard, timers& t, asio::any_io_executor ex)
        : host_(std::move(host)),
          world_(w),
          shard_(shard),
          timers_(t),
          executor_(std::move(ex)),
          capacity_(w.model_.params().streams) {
        auto& random = w.model_.random();
        if (w.model_.happens(w.model_.params().faults.idle_death)) {
            dies_after_ = 1s + std::chrono::milliseconds(random() % 50'000);
            dies_unnoticed_ = random() % 2 == 0;
        }
        ++w.transports_[shard_].open;
        ++w.hosts_[shard_][host_].open;
    }
    ~sim_channel() override {
        if (!running_.empty()) world_.model_.note("a channel was destroyed while exchanges ran on it");
        --world_.transports_[shard_].open;
        --world_.hosts_[shard_][host_].open;
    }

    asio::awaitable<exchange_report> exchange(exchange_input const* in, response* out) override {
        out->clear();
        dead_ = dead_ || (running_.empty() && dies_after_ && timers_.now() >= last_use_ + *dies_after_);
        running one(*this, *out, in->slow, timers_.now() + in->slow_after);
        if (running_.size() > capacity_ && !limit_fell_)
            world_.model_.note("more exchanges on a channel than it carries");
        ++exchanges;
        world_.model_.begun(host_, *in, timers_.now());
        exchange_report report = co_await carry(in, &one);
        last_use_ = timers_.now();
        if (multiplexes) {
            // What became of one exchange says nothing of the others.
            report.reusable = !going_away_ && !dead_;
            report.announced = going_away_;
        }
        world_.model_.ended(host_, *in);
        co_return report;
    }

    void interrupt(response const& out) noexcept override {
        for (auto* const r : running_)
            if (&r->out == &out) r->interrupt();
    }

    std::size_t capacity() const noexcept override { return capacity_; }

    bool alive() noexcept override {
        if (going_away_ || dead_) return false;
        return !dies_after_ || dies_unnoticed_ || !running_.empty() || timers_.now() < last_use_ + *dies_after_;
    }

private:
    /// One exchange.
    struct running {
        running(sim_channel& c, response& o, slow_watch* s, steady_time at)
            : channel(c), out(o), watch(s), slow_at(at) {
            channel.running_.push_back(this);
        }
        ~running() { std::erase(channel.running_, this); }
        running(running const&) = delete;
        running& operator=(running const&) = delete;
        void interrupt() noexcept {
            interrupted = true;
            if (waiting != nullptr) waiting->notify();
        }
        sim_channel& channel;
        response& out;
        slow_watch* watch;
        steady_time slow_at;
        wait_point* waiting = nullptr;
        bool interrupted = false;
        bool arrived = false;  // the server has seen it
        bool refused = false;  // … never will
    };

    asio::awaitable<exchange_report> carry(exchange_input const* in, running* one) {
        auto& model = world_.model_;
        auto const& faults = model.params().faults;
        exchange_report report;
        auto const sent = timers_.now();
        if (model.happens(faults.unsent)) {
            report.error = failure(errc::channel_lost).at(stage::write);
            co_return report;
        }
        report.unprocessed = false;
        report.sent = 100;
        report.written = sent;
        auto way = model.params().latency / 2;
        if (in->target == tenant_info_target && model.happens(faults.name_slow))
            way += std::chrono::milliseconds(model.random()() % 5'000);
        if (model.happens(faults.slow)) way += std::chrono::milliseconds(model.random()() % 5'000);
        error_code const there = co_await until(one, sent + way, in->deadline);
        if (one->refused) {
            report.unprocessed = true;
            report.error = failure(errc::channel_lost).at(stage::first_byte);
            co_return report;
        }
        if (there || dead_) {
            report.error = failure(there ? there : make_error_code(errc::channel_lost)).at(stage::first_byte);
            co_return report;
        }
        one->arrived = true;
        if (!going_away_ && model.happens(faults.goes_away)) go_away();
        if (model.happens(faults.limit_changes)) change_limit();
        auto reply = model.handle(host_, *in, sent, timers_.now(), timers_.wall());
        bool stalled = model.happens(host_ == auth_host ? faults.token_stalled : faults.stalled);
        if (host_ == auth_host && model.stall_tokens > 0) {
            --model.stall_tokens;
            stalled = true;
        }
        if (host_ != auth_host && in->target != tenant_info_target && model.stall_requests > 0) {
            --model.stall_requests;
            stalled = true;
        }
        error_code const back = co_await until(one, stalled ? in->deadline + 1ms : timers_.now() + way, in->deadline);
        if (back || reply.lost) {
            report.error = failure(back ? back : make_error_code(errc::channel_lost)).at(stage::first_byte);
            co_return report;
        }
        report.first_byte = timers_.now();
        report.read = true;
        report.received = 100;
        if (model.happens(faults.cut)) {
            report.error = failure(errc::channel_lost).at(stage::body);
            co_return report;
        }
        one->out = std::move(reply.answer);
        report.reusable = true;
        model.delivered(host_, *in, one->out, timers_.now());
        co_return report;
    }

    /// GOAWAY: what the server has not seen yet it never will, and says so.
    void go_away() {
        going_away_ = true;
        for (auto* const r : running_) {
            if (r->arrived) continue;
            r->refused = true;
            r->interrupt();
        }
        watch->on_change(*this);
    }

    /// SETTINGS_MAX_CONCURRENT_STREAMS, for a second.
    void change_limit() {
        if (std::exchange(limit_fell_, true)) return;
        capacity_ = static_cast<std::size_t>(world_.model_.random()() % (capacity_ + 1));
        watch->on_change(*this);
        world_.scheduler_.at(timers_.now() + 1s, [this, there = std::weak_ptr(there_)] {
            if (there.expired()) return;
            limit_fell_ = false;
            capacity_ = world_.model_.params().streams;
            watch->on_change(*this);
        });
    }

    asio::awaitable<error_code> until(running* one, steady_time t, steady_time deadline) {
        wait_point point(timers_, executor_);
        one->waiting = &point;
        auto const last = std::min(t, deadline);
        wake w = wake::timeout;
        while (w == wake::timeout && !one->interrupted && timers_.now() < last) {
            w = co_await point.wait(one->watch != nullptr ? std::min(last, one->slow_at) : last);
            if (w == wake::timeout && one->watch != nullptr && timers_.now() >= one->slow_at)
                std::exchange(one->watch, nullptr)->on_slow();
        }
        one->waiting = nullptr;
        if (w == wake::cancelled || one->interrupted) co_return timers_.stopped() ? errc::stopped : errc::cancelled;
        if (t > deadline) co_return errc::timeout;
        co_return error_code();
    }

    std::string host_;
    engine_world& world_;
    std::size_t shard_;
    timers& timers_;
    asio::any_io_executor executor_;
    std::size_t capacity_;
    std::optional<steady_duration> dies_after_;
    bool dies_unnoticed_ = false;
    bool dead_ = false;
    bool going_away_ = false;
    bool limit_fell_ = false;
    steady_time last_use_ = timers_.now();
    std::vector<running*> running_;
    std::shared_ptr<bool> const there_ = std::make_shared<bool>(true);
};

class sim_dialer final : public dialer {
public:
    sim_dialer(engine_world& w, std::size_t shard, timers& t, asio::any_io_executor ex)
        : world_(w), shard_(shard), timers_(t), executor_(std::move(ex)) {}

    asio::awaitable<dial_result> dial(std::string host) override {
        auto& model = world_.model_;
        auto& faults = model.params().faults;
        auto& all = world_.transports_[shard_];
        auto& here = world_.hosts_[shard_][host];
        ++all.dialing;
        ++here.dialing;
        if (here.open + here.dialing > world_.max_channels_)
            model.note("more channels to an origin than pool_params allow");
        model.dial_times.push_back(timers_.now());
        dial_result result;
        auto takes = 3 * model.params().latency;
        if (model.happens(faults.slow_dials)) takes += std::chrono::milliseconds(model.random()() % 4'000);
        wait_point point(timers_, executor_);
        wake const w = co_await point.wait(timers_.now() + takes);
        --all.dialing;
        --here.dialing;
        result.failed_at = dial_stage::connect;
        if (w == wake::cancelled) {
            result.error = errc::stopped;
        } else if (host == auth_host && model.happens(faults.token_certificate)) {
            result.failed_at = dial_stage::tls;
            result.error = errc::certificate_refused;
        } else if (host == model.unreachable || model.happens(faults.refused_dials)) {
            result.error = failure(errc::connect_failed).with_peer(host + " (192.0.2.1):443");
        } else {
            result.channel = std::make_unique<sim_channel>(std::move(host), world_, shard_, timers_, executor_);
        }
        co_return result;
    }

private:
    engine_world& world_;
    std::size_t shard_;
    timers& timers_;
    asio::any_io_executor executor_;
};

engine_world::engine_world(model_params m, client_params p, std::uint64_t seed, std::size_t shards)
    : model_(m, seed),
      max_channels_(p.pool.max_channels),
      max_leases_of_site_(p.pool.max_share_of_site * static_cast<double>(p.pool.max_channels * m.streams)),
      retry_ratio_(p.retries.budget_ratio),
      transports_(shards),
      hosts_(shards),
      calls_(m.sites) {
    model_.unlimited_client = p.limits.mode != limiting::enforce;
    p.seed = seed;
    // Where nobody knows the version one dial goes first, which takes its time.
    if (m.streams == 1) p.wire.http = http_versions::http1;
    std::vector<shard_environment> environments;
    for (std::size_t i = 0; i < shards; ++i) {
        shard_environment e;
        e.executor = scheduler_.context().get_executor();
        e.clock = &scheduler_.clock();
        e.alarm = scheduler_.make_alarm();
        e.make_dialer = [this, i](asio::any_io_executor ex, timers& t) -> std::unique_ptr<dialer> {
            return std::make_unique<sim_dialer>(*this, i, t, std::move(ex));
        };
        environments.push_back(std::move(e));
    }
    engine_ = std::make_shared<detail::engine>(std::move(environments), std::move(p));
    stats_ = engine_->stats();
    scheduler_.after_event = [this] { check(); };
}

engine_world::~engine_world() { finish(); }

void engine_world::finish() {
    if (std::exchange(finished_, true)) return;
    engine_->stop();
    scheduler_.run_until(scheduler_.now() + 1s);
    scheduler_.after_event = nullptr;
    if (totals.ended() != totals.started) model_.note("a call did not end, or ended twice");
    if (totals.late != 0) model_.note("a call ended behind its deadline");
    if (sum([](auto& s) { return s.calls_in_flight.value(); }) != 0) model_.note("calls_in_flight is not 0 at the end");
    if (sum([](auto& s) { return s.limit_waiting.value(); }) != 0) model_.note("limit_waiting is not 0 at the end");
    if (sum([](auto& s) { return s.queue_length.value(); }) != 0) model_.note("queue_length is not 0 at the end");
    std::uint64_t counted = 0;
    std::uint64_t timed_out = 0;
    std::uint64_t by_stage = 0;
    for (auto const& s : stats_) {
        counted += total(s->calls);
        for (auto const& kind : s->calls)
            for (auto const& of_class : kind)
                timed_out += of_class[static_cast<std::size_t>(jirapool::outcome::timeout)].value();
        by_stage += total(s->timeouts);
    }
    if (counted > totals.started) model_.note("more calls were counted than were made");
    if (timed_out != by_stage) model_.note("the timeouts by stage are not the calls that timed out");
    // Each site's resends stay in its budget; those after a 401 or 429 are outside it, and hedges in their origin's.
    double const hedges = static_cast<double>(sum([](auto& s) {
        return s.resends[static_cast<std::size_t>(resend_reason::hedge)].value();
    }));
    double used = 0;
    double allowed_in_all = 0;
    for (std::size_t i = 0; i < calls_.size(); ++i) {
        auto const allowed = static_cast<double>(calls_[i]) * (1 + retry_ratio_) + 10 + max_leases_of_site_ + hedges;
        auto const sent = static_cast<double>(model_.requests_of(i) - model_.refused_of(i));
        used += sent;
        allowed_in_all += allowed;
        // Those of one site share its budget.
        if (sent > allowed && !model_.params().pairs)
            model_.note("site " + std::to_string(i) + " got more resends than its budget");
    }
    if (used > allowed_in_all) model_.note("there were more resends than all budgets together");
    destroy_engine();
    for (auto const& t : transports_)
        if (t.open + t.dialing != 0) model_.note("a channel or a dial outlived the engine");
    if (scheduler_.armed() != 0) model_.note("a timer outlived the engine");
}

void engine_world::destroy_engine() {
    scheduler_.after_event = nullptr;
    finished_ = true;
    if (engine_) engine_->stop();
    scheduler_.run_until(scheduler_.now() + 1s);
    connections_ = {};
    engine_.reset();
    scheduler_.run_until(scheduler_.now() + 1s);
}

void engine_world::check() {
    for (std::size_t i = 0; i < stats_.size(); ++i) {
        auto const& s = *stats_[i];
        auto const open = static_cast<std::size_t>(s.channels_idle.value() + s.channels_active.value());
        if (open != transports_[i].open) model_.note("the gauges of open channels are wrong");
        if (static_cast<std::size_t>(s.channels_dialing.value()) != transports_[i].dialing)
            model_.note("the gauge of dials is wrong");
        if (s.channels_idle.value() < 0 || s.channels_active.value() < 0 || s.queue_length.value() < 0 ||
            s.limit_waiting.value() < 0 || s.calls_in_flight.value() < 0)
            model_.note("a gauge is negative");
    }
}

void engine_world::add_all() {
    for (std::size_t i = 0; i < model_.params().sites; ++i)
        connections_.push_back(engine_->add(model_.config(i)).value());
}

void engine_world::replace_secret(std::size_t n) {
    model_.rotate(n);
    engine_->replace(model_.config(n)).value();
}

void engine_world::remove(std::size_t n) { engine_->remove(connections_.at(n).id()); }

void engine_world::add_again(std::size_t n) {
    model_.begin_anew(n);
    connections_.at(n) = engine_->add(model_.config(n)).value();
}

void engine_world::sleep(steady_duration d) {
    scheduler_.sleep(d);
    woke_ = scheduler_.now();
}

engine_world::result_handler engine_world::on_end(std::size_t n, steady_time deadline, result_handler then) {
    ++totals.started;
    ++calls_.at(n);
    return [this, n, started = scheduler_.now(), deadline, then = std::move(then)](result<response> const& got) {
        ended(n, started, deadline, got);
        if (then) then(got);
    };
}

void engine_world::start(std::size_t n, request r, std::chrono::milliseconds timeout, result_handler then) {
    auto made = std::move(r).timeout(timeout).explain();
    connections_.at(n).async_call(std::move(made), on_end(n, scheduler_.now() + timeout, std::move(then)));
}

void engine_world::start_and_cancel(std::size_t n, request r, std::chrono::milliseconds timeout,
                                    steady_duration cancel_after) {
    auto made = std::move(r).timeout(timeout).explain();
    auto const signal = std::make_shared<asio::cancellation_signal>();
    auto end = on_end(n, scheduler_.now() + timeout, {});
    connections_.at(n).async_call(std::move(made),
                                  asio::bind_cancellation_slot(signal->slot(),
                                                               [end = std::move(end),
                                                                signal](result<response> const& got) { end(got); }));
    scheduler_.at(scheduler_.now() + cancel_after, [weak = std::weak_ptr(signal)] {
        if (auto const s = weak.lock()) s->emit(asio::cancellation_type::terminal);
    });
}

void engine_world::ended(std::size_t n, steady_time started, steady_time deadline, result<response> const& got) {
    auto const now = scheduler_.now();
    if (now > deadline && deadline > woke_) ++totals.late;
    model_.hash(static_cast<std::uint64_t>(now.time_since_epoch().count()) ^ n);
    auto const why = got ? got->explanation() : got.error().explanation();  // error() is a copy
    if (why && why->total() != now - started) model_.note("an explanation does not add up to its call's time");
    if (got) {
        model_.hash(static_cast<std::uint64_t>(got->status()));
        if (got->ok()) ++totals.succeeded;
        else if (got->status() == 429) ++totals.limited;
        else ++totals.failed;
        return;
    }
    auto const ec = got.error().code();
    model_.hash(static_cast<std::uint64_t>(ec.value()));
    if (ec == errc::limited_past_deadline || ec == errc::queue_full) ++totals.limited;
    else if (ec == errc::cancelled || ec == errc::connection_removed) ++totals.cancelled;
    else ++totals.failed;
}

}  // namespace jirapool::sim
