#pragma once

#include "scheduler.hpp"

#include "engine/origin_pool.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace jirapool::sim {

namespace asio = boost::asio;

/** The real origin_pool in virtual time, over dials that succeed or fail when the test says so, and channels that do
    nothing but die, or carry more or fewer exchanges than before. */
class pool_world {
public:
    /// `http`: what may be spoken, in place of what the params say.
    pool_world(client_params p, std::uint64_t seed, http_versions http = http_versions::http1)
        : context_(std::make_shared<detail::shard_context>(environment(seed), speaking(std::move(p), http))),
          params(*context_->params),
          stats(*context_->stats),
          random(context_->random),
          pool(std::make_shared<detail::origin_pool>("origin.example", context_)) {}
    ~pool_world() { stop(); }
    pool_world(pool_world const&) = delete;
    pool_world& operator=(pool_world const&) = delete;

    /// What becomes of a dial, and when.
    struct plan {
        bool succeeds = true;
        steady_duration after = std::chrono::milliseconds(60);
        std::size_t capacity = 1;  ///< of the channel
    };

    class fake_channel final : public detail::channel {
    public:
        fake_channel(pool_world& w, std::size_t capacity) : world_(w), capacity_(capacity) {
            multiplexed = capacity != 1;
            world_.channels.push_back(this);
            world_.learned(*this);
        }
        ~fake_channel() override { std::erase(world_.channels, this); }
        asio::awaitable<detail::exchange_report> exchange(detail::exchange_input const*, response*) override {
            co_return detail::exchange_report();
        }
        bool alive() noexcept override { return open && world_.now() < usable_until; }
        void interrupt(response const&) noexcept override {}
        std::size_t capacity() const noexcept override { return capacity_; }
        void rest() noexcept override { ++rests; }
        /// The server allows so many exchanges at once from now on.
        void allow(std::size_t capacity) {
            capacity_ = capacity;
            multiplexed = true;
            if (alive()) world_.learned(*this);
            watch->on_change(*this);
        }
        /// The server says that it ends: what runs goes on.
        void go_away() {
            open = false;
            watch->on_change(*this);
        }
        int rests = 0;
        bool open = true;
        bool multiplexed = false;

    private:
        pool_world& world_;
        std::size_t capacity_;
    };

    /// One acquire, from its start to the end of its lease.
    struct acquire {
        enum class state : std::uint8_t { waiting, leased, failed };
        state is = state::waiting;
        int ended = 0;  ///< times
        bool cancelled = false;
        bool seen = false;  ///< for the test
        std::size_t site = 0;
        steady_time started{};
        steady_time deadline{};
        steady_time ended_at{};
        detail::lease lease;
        error_code error;
        asio::cancellation_signal cancel;
    };

    steady_time now() const noexcept { return scheduler_.now(); }
    /// Runs what is ready, and lets time pass.
    void pass(steady_duration d) { scheduler_.run_until(now() + d); }
    /// Runs what is ready.
    void settle() { pass(steady_duration::zero()); }

    /// The flow must outlive the world, which keeps the acquire.
    acquire* begin(fair_flow& flow, steady_duration timeout, std::size_t site = 0) {
        acquires_.push_back(std::make_unique<acquire>());
        auto* const a = acquires_.back().get();
        a->site = site;
        a->started = now();
        a->deadline = now() + timeout;
        asio::co_spawn(context_->executor, run(this, pool, &flow, a),
                       asio::bind_cancellation_slot(a->cancel.slot(), [](std::exception_ptr) {}));
        return a;
    }
    /// As `begin`, for as long as it takes.
    acquire* lease(fair_flow& flow, steady_duration timeout = std::chrono::seconds(30)) {
        auto* const a = begin(flow, timeout);
        settle();
        while (a->is == acquire::state::waiting) pass(std::chrono::milliseconds(1));
        return a;
    }

    std::vector<std::unique_ptr<acquire>> const& acquires() const noexcept { return acquires_; }
    /// Those that have ended and hold nothing.
    void forget_finished() {
        std::erase_if(acquires_, [](auto const& a) { return a->is != acquire::state::waiting && !a->lease; });
    }

    void stop() {
        pool->stop();
        context_->clock.stop();
        settle();
    }

    asio::any_io_executor const& executor() const noexcept { return context_->executor; }

    std::function<plan()> next_dial = [] { return plan{}; };
    std::vector<fake_channel*> channels;  // that exist, the oldest first
    /// What the last channel said that it carries: in its beginning, or when that changed.
    std::optional<std::size_t> last_capacity;
    bool multiplexed = false;  ///< it is known to carry several
    /// The same of the last one that carried something.
    std::size_t last_that_carried = 1;
    bool last_was_multiplexed = false;
    std::uint64_t times_learned = 0;

private:
    void learned(fake_channel const& c) {
        ++times_learned;
        last_capacity = c.capacity();
        multiplexed = c.multiplexed;
        if (c.capacity() == 0) return;
        last_that_carried = c.capacity();
        last_was_multiplexed = c.multiplexed;
    }

    static asio::awaitable<void> run(pool_world* w, std::shared_ptr<detail::origin_pool> p, fair_flow* flow,
                                     acquire* a) {
        detail::lease_result got = co_await p->acquire(flow, a->deadline);
        ++a->ended;
        a->ended_at = w->now();
        a->is = got.lease ? acquire::state::leased : acquire::state::failed;
        a->lease = std::move(got.lease);
        a->error = got.error.code();
    }

    class fake_dialer final : public detail::dialer {
    public:
        explicit fake_dialer(pool_world& w) : world_(w) {}
        asio::awaitable<detail::dial_result> dial(std::string) override {
            detail::dial_result result;
            result.failed_at = dial_stage::connect;
            auto const p = world_.next_dial();
            detail::wait_point point(world_.context_->clock, world_.context_->executor);
            detail::wake const w = co_await point.wait(world_.now() + p.after);
            if (w == detail::wake::cancelled) result.error = errc::stopped;
            else if (!p.succeeds) result.error = errc::connect_failed;
            else result.channel = std::make_unique<fake_channel>(world_, p.capacity);
            co_return result;
        }

    private:
        pool_world& world_;
    };

    static std::shared_ptr<client_params const> speaking(client_params p, http_versions http) {
        p.wire.http = http;
        return std::make_shared<client_params const>(std::move(p));
    }

    detail::shard_environment environment(std::uint64_t seed) {
        detail::shard_environment e;
        e.executor = scheduler_.context().get_executor();
        e.clock = &scheduler_.clock();
        e.alarm = scheduler_.make_alarm();
        e.make_dialer = [this](asio::any_io_executor, detail::timers&) { return std::make_unique<fake_dialer>(*this); };
        e.seed = seed;
        return e;
    }

    scheduler scheduler_;
    std::shared_ptr<detail::shard_context> context_;

public:
    client_params const& params;
    shard_stats& stats;
    random_engine& random;
    std::shared_ptr<detail::origin_pool> pool;

private:
    std::vector<std::unique_ptr<acquire>> acquires_;
};

}  // namespace jirapool::sim
