#include "engine/engine.hpp"
#include "engine/surveyor.hpp"

#include <jirapool/core/overview.hpp>
#include <jirapool/core/urgency.hpp>

#include <algorithm>
#include <utility>

namespace jirapool::detail {

using namespace std::chrono_literals;

namespace {

/// Keeps what is read, and not the client.
class engine_overview final : public overview {
public:
    explicit engine_overview(std::shared_ptr<engine> const& e)
        : engine_(e), clock_(e->shards()->clock), stats_(e->stats()), bounds_(e->bounds()), budgets_(e->budgets()) {
        for (auto const& s : e->shards()->shards) {
            boards_.push_back(s->surveys());
            shards_.push_back(s);
        }
    }

    std::vector<std::shared_ptr<shard_stats const>> stats() const override { return stats_; }

    std::vector<std::shared_ptr<survey const>> look(std::chrono::milliseconds patience) const override {
        std::vector<std::shared_ptr<survey const>> seen;
        ask(patience, false, [&](survey_board& b, survey_board::ticket t, std::chrono::milliseconds left) {
            seen.push_back(b.wait(t, left));
        });
        return seen;
    }

    std::vector<site_snapshot> sites(std::chrono::milliseconds patience) const override {
        std::vector<std::shared_ptr<std::vector<site_snapshot> const>> parts;
        parts.reserve(boards_.size());
        ask(patience, true, [&](survey_board& b, survey_board::ticket t, std::chrono::milliseconds left) {
            parts.push_back(b.wait_for_all(t, left));
        });
        std::vector<site_snapshot> all;
        for (auto const& p : parts)
            if (p) all.insert(all.end(), p->begin(), p->end());
        std::sort(all.begin(), all.end(), more_urgent);
        return all;
    }

    std::vector<connection_snapshot> connections() const override {
        std::vector<connection_snapshot> all;
        auto const e = engine_.lock();
        if (!e) return all;
        auto const now = clock_->now();
        auto const wall = clock_->wall();
        for (auto const& entry : e->entries()) all.push_back(entry->snapshot(now, wall));
        return all;
    }

    std::vector<shard_pace> paces() const override {
        std::vector<shard_pace> all;
        for (auto const& b : boards_) all.push_back(b->pace(clock_->now()));
        return all;
    }

    std::optional<budget_left> app_quota() const override { return budgets_->least_left(clock_->now()); }

    std::vector<bound> bounds() const override { return bounds_; }

private:
    /// All are asked before the first one is waited for; who was asked for all sites is waited for in any case.
    template <class Wait>
    void ask(std::chrono::milliseconds patience, bool all, Wait const& wait) const {
        std::vector<survey_board::ticket> tickets(boards_.size());
        for (std::size_t i = 0; i < boards_.size(); ++i) {
            auto const s = shards_[i].lock();
            tickets[i] = s ? s->ask_for_survey(all, clock_->now()) : boards_[i]->ask_in_vain(all);
        }
        auto const until = clock_->now() + std::clamp<std::chrono::milliseconds>(patience, 0ms, longest_patience);
        for (std::size_t i = 0; i < boards_.size(); ++i) {
            auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock_->now());
            if (auto const s = shards_[i].lock(); s && s->runs_here()) left = left.zero();  // it would wait for itself
            wait(*boards_[i], tickets[i], std::max(left, left.zero()));
        }
    }

    static constexpr std::chrono::milliseconds longest_patience = 24h;

    std::weak_ptr<engine> const engine_;
    engine_clock const* const clock_;
    std::vector<std::shared_ptr<shard_stats const>> const stats_;
    std::vector<bound> const bounds_;
    std::shared_ptr<shared_budgets> const budgets_;
    std::vector<std::shared_ptr<survey_board>> boards_;
    std::vector<std::weak_ptr<shard>> shards_;
};

}  // namespace

std::shared_ptr<overview const> make_overview(std::shared_ptr<engine> const& e) {
    return std::make_shared<engine_overview>(e);
}

std::vector<overview::bound> engine::bounds() const {
    auto const& p = *params_;
    auto const number = [](auto n) { return static_cast<double>(n); };
    auto const seconds = [](auto d) { return std::chrono::duration<double>(d).count(); };
    return {{"shards", number(shards_->shards.size())},
            {"max_channels", number(p.pool.max_channels)},
            {"max_dialing", number(p.pool.max_dialing)},
            {"max_queue", number(p.pool.max_queue)},
            {"max_waiting", number(p.limits.max_waiting)},
            {"max_exchanges", number(p.retries.max_exchanges)},
            {"retry_budget_max", p.retries.budget_max},
            {"token_exchanges_per_second", p.tokens.exchanges_per_second},
            {"background_dials_per_second", p.pool.background_dials_per_second},
            {"max_sites", number(p.overview.max_sites)},
            {"max_connections", number(p.overview.max_connections)},
            {"verify_every_seconds", p.health.verify ? seconds(p.health.verify_every) : 0},
            {"idle_timeout_seconds", seconds(p.pool.idle_timeout)},
            {"max_lifetime_seconds", seconds(p.pool.max_lifetime)}};
}

}  // namespace jirapool::detail
