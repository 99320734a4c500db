// Random steps over the real origin_pool in virtual time; after each one the pool is held against a model that counts.
#include "support/catch.hpp"
#include "support/figure.hpp"

#include "pool_world.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

namespace {

using acquire = pool_world::acquire;

/// What came about: a run in which some of this never happens has tried nothing.
struct coverage {
    std::uint64_t steps = 0;
    std::uint64_t leased_at_once = 0;
    std::uint64_t leased_in_turn = 0;
    std::uint64_t compared = 0;  ///< grants in turn that two sites' windows were held against
    std::uint64_t second_tier = 0;
    std::uint64_t capped = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t leased_though_cancelled = 0;
    std::uint64_t refused = 0;
    std::uint64_t queue_full = 0;
    std::uint64_t backoffs = 0;
    std::uint64_t dialled_apart = 0;
    std::uint64_t shared = 0;          ///< moments in which a channel carried several
    std::uint64_t above_capacity = 0;  ///< … more than it may any more
    std::uint64_t closed_doors = 0;    ///< … an idle one carried nothing
    std::uint64_t draining = 0;        ///< … one had ended for new exchanges, and carried some
    std::array<std::uint64_t, dial_purpose_count> dials{};
    std::array<std::uint64_t, close_reason_count> closed{};

    bool complete() const {
        auto const seen = [](std::uint64_t n) { return n != 0; };
        for (std::size_t i = 0; i < closed.size(); ++i)
            if (!seen(closed[i])) return false;
        return seen(shared) && seen(above_capacity) && seen(closed_doors) && seen(draining) && seen(leased_at_once) &&
               seen(leased_in_turn) && seen(compared) && seen(second_tier) && seen(capped) && seen(timeouts) &&
               seen(cancelled) && seen(leased_though_cancelled) && seen(refused) && seen(queue_full) &&
               seen(backoffs) && seen(dialled_apart) && std::all_of(dials.begin(), dials.end(), seen);
    }
};

/** One pool from its first call to its end, with a few sites; of an odd seed with channels that carry several exchanges at once.

    What is promised of fairness and checked here: of two sites that both wait all through a window, both in the first tier
    and below their cap, neither is served more than one quantum (its weight) more than its weight's part of the other's.
    And no site of the second tier is served while one of the first could be. */
class episode {
public:
    episode(std::uint64_t seed, coverage& c)
        : covered_(c),
          random_(seed),
          sharing_(seed % 2 == 1),
          world_(params(), seed, sharing_ ? http_versions::either : http_versions::http1) {
        sites_used_ = 1 + random_() % sites_.size();
        for (std::size_t i = 0; i < sites_used_; ++i)
            sites_[i].set_weight(static_cast<std::uint16_t>(1 + random_() % 4));
        max_held_ = held_at_most();
        if (sharing_) most_streams_ = std::array<std::size_t, 3>{1, 3, 20}[pick(3)];
        world_.next_dial = [this] {
            auto p = plan();
            if (sharing_) p.capacity = chance(0.1) ? pick(2) : 1 + pick(most_streams_);
            return p;
        };
        change_weather();
    }

    /// Empty, or the first broken rule.
    std::string run(std::uint64_t steps) {
        for (std::uint64_t i = 0; i < steps; ++i) {
            before_ = snapshot();
            if (sharing_ && chance(0.15)) sharing_step();
            else step();
            world_.settle();
            ++made;
            ++covered_.steps;
            check();
            if (broken_.empty()) compare_served();
            if (!broken_.empty()) return broken_ + " (step " + std::to_string(made) + ": " + last_ + ")";
            if (world_.acquires().size() > 200) world_.forget_finished();
        }
        finish();
        return broken_.empty() ? broken_ : broken_ + " (at the end)";
    }

    std::uint64_t made = 0;

private:
    static constexpr std::size_t sites_max = 6;

    bool chance(double p) { return uniform(random_) < p; }
    std::size_t pick(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

    client_params params() {
        client_params p;
        p.pool.max_channels = 1 + pick(12);
        p.pool.max_dialing = 1 + pick(4);
        p.pool.max_queue = chance(0.2) ? 4 : 60;
        p.pool.max_share_of_site = std::array{0.1, 0.5, 0.75, 1.0}[pick(4)];
        p.pool.min_idle = chance(0.3) ? pick(p.pool.max_channels + 1) : 0;
        p.pool.idle_timeout = chance(0.5) ? 55'000ms : 2'000ms;
        p.pool.max_lifetime = chance(0.5) ? 600'000ms : 5'000ms;
        if (sharing_) p.pool.dial_at_stream_limit = chance(0.7);
        return p;
    }

    /// By what the newest channel carries.
    std::size_t held_at_most() const {
        auto const& p = world_.params.pool;
        if (world_.last_was_multiplexed && p.max_share_of_site == 1) return fair_queue::unlimited;
        bool const one = !p.dial_at_stream_limit && world_.last_was_multiplexed;
        std::size_t const channels = one ? 1 : p.max_channels;
        return std::max<std::size_t>(
            1,
            static_cast<std::size_t>(p.max_share_of_site * static_cast<double>(channels * world_.last_that_carried)));
    }
    /// No other one is dialled at the stream limit.
    bool one_channel() const { return !world_.params.pool.dial_at_stream_limit && world_.multiplexed; }

    void change_weather() {
        static constexpr std::array<std::array<double, 3>, 5> kinds{
            {{0, 0, 0}, {0, 0, 0}, {0.3, 0.1, 0}, {1, 0, 0}, {0.1, 0.3, 0.5}}};
        auto const& k = kinds[pick(kinds.size())];
        refused_ = k[0];
        hung_ = k[1];
        late_ = k[2];
    }

    pool_world::plan plan() {
        auto const ms = [this](std::uint64_t most) { return std::chrono::milliseconds(random_() % (most + 1)); };
        if (chance(refused_)) return {false, ms(20)};
        if (chance(hung_)) return {false, 15s};
        if (chance(late_)) return {true, 1s + ms(10'000)};
        return {true, ms(100)};
    }

    acquire* any(acquire::state s) {
        auto const& all = world_.acquires();
        if (all.empty()) return nullptr;
        auto const from = pick(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            auto* const a = all[(from + i) % all.size()].get();
            if (a->is == s && (s != acquire::state::leased || a->lease)) return a;
        }
        return nullptr;
    }

    void step() {
        auto const dice = pick(1000);
        if (dice < 5) {
            last_ = "dial apart";
            auto const a = std::make_shared<apart>();
            a->site = pick(sites_used_);
            apart_.push_back(a);
            asio::co_spawn(world_.executor(), dial_apart(world_.pool, &sites_[a->site], a), [](std::exception_ptr) {});
        } else if (dice < 10) {
            last_ = "what was dialled apart ends";
            if (!apart_.empty()) {
                auto const i = static_cast<std::ptrdiff_t>(pick(apart_.size()));
                auto& a = *apart_[static_cast<std::size_t>(i)];
                if (a.ended) {
                    if (chance(0.5)) a.lease.give_back();
                    else a.lease.close(close_reason::broken);
                    apart_.erase(apart_.begin() + i);
                }
            }
        } else if (dice < 12) {
            last_ = "idle channels are distrusted";
            world_.pool->close_unheard_since(world_.now() - std::chrono::milliseconds(pick(500)));
        } else if (dice < 400) {
            last_ = "acquire";
            // Site 0 asks as often as all others together.
            auto const site = chance(0.5) ? 0 : pick(sites_used_);
            auto const timeout = chance(0.02) ? 0ms : std::chrono::milliseconds(random_() % 5'000);
            world_.begin(sites_[site], timeout, site);
            used_ = true;
        } else if (dice < 640) {
            last_ = "give back";
            if (auto* const a = any(acquire::state::leased)) a->lease.give_back();
        } else if (dice < 700) {
            last_ = "close";
            if (auto* const a = any(acquire::state::leased)) {
                if (chance(0.5)) a->lease.close(close_reason::broken);
                else a->lease = detail::lease();
            }
        } else if (dice < 760) {
            last_ = "cancel";
            if (auto* const a = any(acquire::state::waiting)) cancel(*a);
        } else if (dice < 780) {
            // All of one instant, before anybody runs: who is served must not be lost with who leaves.
            last_ = "give back and cancel at once";
            // On the executor, where a cancellation takes effect at once and not behind what else is posted.
            asio::post(world_.executor(), [this] {
                auto* const a = any(acquire::state::leased);
                bool const first = chance(0.5);
                if (first && a != nullptr) a->lease.give_back();
                for (int i = 0; i < 3; ++i)
                    if (auto* const w = any(acquire::state::waiting)) cancel(*w);
                if (!first && a != nullptr) a->lease.give_back();
            });
        } else if (dice < 930) {
            last_ = "a little time";
            world_.pass(std::chrono::milliseconds(random_() % 100));
        } else if (dice < 950) {
            last_ = "seconds";
            world_.pass(std::chrono::milliseconds(random_() % 10'000));
        } else if (dice < 953) {
            last_ = "minutes";
            world_.pass(std::chrono::seconds(random_() % 900));
        } else if (dice < 990) {
            last_ = "kill";
            if (!world_.channels.empty()) {
                auto& c = *world_.channels[pick(world_.channels.size())];
                if (chance(0.9)) c.open = false;
                else c.usable_until = world_.now() + std::chrono::seconds(pick(5));
            }
        } else if (dice < 995) {
            last_ = "weight";
            // The rest of a turn is still of the old weight, which compare_served does not know.
            auto& site = sites_[pick(sites_used_)];
            if (site.waiting() == 0) site.set_weight(static_cast<std::uint16_t>(1 + random_() % 4));
        } else {
            last_ = "weather";
            change_weather();
        }
    }

    /// What only channels do that carry several exchanges.
    void sharing_step() {
        auto* const c = world_.channels.empty() ? nullptr : world_.channels[pick(world_.channels.size())];
        auto const dice = pick(100);
        if (dice < 40) {
            last_ = "capacity";
            if (c != nullptr) c->allow(chance(0.2) ? 0 : pick(most_streams_ + 1));
        } else if (dice < 50) {
            last_ = "goes away";
            if (c != nullptr) c->go_away();
        } else {
            last_ = "exchange ends";
            auto* const a = any(acquire::state::leased);
            if (a == nullptr) return;
            detail::exchange_report r;
            r.unprocessed = chance(0.1);
            r.first_byte = world_.now();
            r.reusable = a->lease.channel().alive();
            r.announced = !r.reusable && chance(0.5);
            if (chance(0.5)) r.error = chance(0.5) ? errc::timeout : errc::channel_lost;
            if (chance(0.1)) a->lease.distrust(world_.now() - std::chrono::milliseconds(pick(500)));
            else a->lease.end(r);
        }
    }

    /// A channel that a caller had dialled for itself alone.
    struct apart {
        std::size_t site = 0;
        bool ended = false;
        bool seen = false;  ///< for the test
        detail::lease lease;
    };
    static asio::awaitable<void> dial_apart(std::shared_ptr<detail::origin_pool> pool, fair_flow* flow,
                                            std::shared_ptr<apart> a) {
        a->lease = co_await pool->dial_for(flow);
        a->ended = true;
    }

    static void cancel(acquire& a) {
        a.cancelled = true;
        a.cancel.emit(asio::cancellation_type::terminal);
    }

    void expect(bool holds, char const* rule) {
        if (!holds && broken_.empty()) broken_ = rule;
    }

    void check() {
        auto const s = world_.pool->look();
        auto const& limits = world_.params.pool;
        std::array<std::size_t, sites_max> waiting{}, held{};
        std::map<detail::channel const*, std::size_t> carried;
        std::vector<detail::channel const*> lent;  // in the last step
        granted_ = {};
        max_held_ = held_at_most();
        changed_ = learned_ != world_.times_learned;
        learned_ = world_.times_learned;
        for (auto const& a : world_.acquires()) {
            if (a->is == acquire::state::waiting) {
                ++waiting[a->site];
                // Ends at its deadline, at once when cancelled.
                expect(a->deadline > world_.now(), "an acquire waits past its deadline");
                expect(!a->cancelled, "a cancelled acquire goes on waiting");
                expect(a->ended == 0, "an acquire that ended waits");
                continue;
            }
            if (a->lease) {
                ++held[a->site];
                ++carried[&a->lease.channel()];
                if (!a->seen) lent.push_back(&a->lease.channel());
            }
            if (!std::exchange(a->seen, true)) note_end(*a);
            expect(a->ended == 1, "an acquire ends exactly once");
            expect(a->ended_at <= a->deadline, "an acquire ended after its deadline");
            if (a->is != acquire::state::failed) continue;
            if (a->error == errc::timeout) expect(a->ended_at == a->deadline, "a timeout before the deadline");
            else if (a->error == errc::cancelled) expect(a->cancelled, "cancelled without being asked to");
            else expect(a->error == errc::queue_full || a->error == errc::connect_failed, "an error of no known kind");
        }

        std::size_t promised = 0;
        for (auto const& a : apart_) {
            promised += !a->ended;
            held[a->site] += !a->ended || a->lease;
            if (!a->lease) continue;
            ++carried[&a->lease.channel()];
            if (!std::exchange(a->seen, true)) lent.push_back(&a->lease.channel());
        }

        std::size_t total_waiting = 0;
        std::size_t ready = 0;
        for (std::size_t i = 0; i < sites_.size(); ++i) {
            total_waiting += waiting[i];
            if (held[i] < max_held_) ready += std::min(waiting[i], max_held_ - held[i]);
            expect(sites_[i].held() == held[i], "the pool's count of what a site holds");
            expect(sites_[i].waiting() == waiting[i], "the pool's count of who waits of a site");
            // What is allowed may fall below it.
            bool const fell = sharing_ && (changed_ || granted_[i] == 0);
            expect(held[i] <= max_held_ || fell, "a site holds more than it may");
            covered_.second_tier += sites_[i].second_tier();
            covered_.capped += waiting[i] != 0 && held[i] >= max_held_;
        }
        expect(s.waiting == total_waiting, "the queue's length");
        expect(s.ready == ready, "the queue's count of who may have a channel");

        // 1. No more than there may be; nobody waits while something could be done.
        expect(s.open == carried.size() + s.idle, "a channel is neither idle nor held: lost");
        expect(s.open == world_.channels.size(), "channels that are open but not counted, or the other way round");
        expect(s.open + s.dialing <= limits.max_channels, "more channels than max_channels");
        expect(s.dialing <= limits.max_dialing, "more dials than max_dialing");
        for (auto const* const c : lent) expect(carried[c] <= c->capacity(), "a channel was lent beyond its capacity");
        std::size_t with_room = 0;
        std::size_t closed_doors = 0;
        std::size_t ending = 0;
        for (auto* const c : world_.channels) {
            auto const found = carried.find(c);
            auto const leases = found == carried.end() ? 0 : found->second;
            expect(c->leases == leases, "the channel's count of its leases");
            with_room += leases != 0 && !c->ending && leases < c->capacity();
            closed_doors += leases == 0 && c->capacity() == 0;
            ending += c->ending;
            expect(!c->ending || leases != 0, "a channel outlives its last exchange");
            expect(ready == 0 || c->ending || leases >= c->capacity() || !c->alive(),
                   "a call waits beside a channel that it may have");
            covered_.shared += leases > 1;
            covered_.above_capacity += leases > c->capacity();
        }
        expect(s.with_room == with_room, "the pool's count of channels with room");
        expect(s.ending == ending, "the pool's count of channels that end");
        expect(ready == 0 || s.idle == closed_doors, "a call waits beside an idle channel that it may have");
        covered_.closed_doors += closed_doors;
        covered_.draining += ending;
        bool const full = s.open + s.dialing == limits.max_channels;
        auto const at_hand = s.idle + with_room;
        auto const wanted = dials_for(ready, s.open - ending) +
                            (used_ && limits.min_idle > at_hand ? limits.min_idle - at_hand : 0);
        bool const alone = failed_since_success() || (sharing_ && world_.last_capacity.value_or(0) == 0);
        auto const at_once = alone ? 1 : limits.max_dialing;
        expect(full || s.backing_off || s.dialing >= std::min(wanted + promised, at_once),
               "a call waits, or min_idle is not kept, and nothing is under way to change that");

        // 13. The gauges and counters are the model's.
        auto const& stats = world_.stats;
        auto const is = [](gauge const& g, std::size_t n) { return g.value() == static_cast<std::int64_t>(n); };
        expect(is(stats.queue_length, total_waiting), "gauge queue_length");
        expect(is(stats.channels_idle, s.idle), "gauge channels_idle");
        expect(is(stats.channels_active, carried.size()), "gauge channels_active");
        expect(is(stats.channels_dialing, s.dialing), "gauge channels_dialing");
        expect(total(stats.channels_opened) - total(stats.channels_closed) == s.open, "channels opened, less closed");
        expect(total(stats.dials) == total(stats.channels_opened) + total(stats.dial_failures) + s.dialing,
               "dials begun are those that opened, failed or run");
    }

    std::size_t dials_for(std::size_t ready, std::size_t open) const {
        if (one_channel() && open != 0) return 0;
        auto const each = sharing_ ? std::max<std::size_t>(1, world_.last_capacity.value_or(0)) : 1;
        auto const n = (ready + each - 1) / each;
        return one_channel() && each > 1 ? std::min<std::size_t>(n, 1) : n;
    }

    void note_end(acquire const& a) {
        if (a.is == acquire::state::leased) {
            ++granted_[a.site];
            ++(a.ended_at == a.started ? covered_.leased_at_once : covered_.leased_in_turn);
            covered_.leased_though_cancelled += a.cancelled;
        } else {
            covered_.timeouts += a.error == errc::timeout;
            covered_.cancelled += a.error == errc::cancelled;
            covered_.refused += a.error == errc::connect_failed;
            covered_.queue_full += a.error == errc::queue_full;
        }
    }
    /// More than one dial at once is promised only while none failed since the last that succeeded.
    bool failed_since_success() {
        auto const failures = total(world_.stats.dial_failures);
        auto const successes = total(world_.stats.channels_opened);
        // Both in one step: whichever came last; so either is allowed.
        if (successes != successes_) failed_ = failures != failures_;
        else if (failures != failures_) failed_ = true;
        failures_ = failures;
        successes_ = successes;
        return failed_;
    }

    // 3. Fairness

    struct of_site {
        bool eligible = false;  ///< waits in the first tier, below its cap
        bool second = false;    ///< waits in the second tier
        unsigned weight = 1;
    };
    struct moment {
        std::array<of_site, sites_max> sites;
        std::int64_t epoch = 0;
    };

    moment snapshot() {
        moment m;
        m.epoch = world_.now().time_since_epoch() / fair_queue::epoch;
        for (std::size_t i = 0; i < sites_.size(); ++i) {
            auto const& f = sites_[i];
            m.sites[i] = {f.waiting() != 0 && f.held() < max_held_ && !f.second_tier(), f.second_tier(), f.weight()};
        }
        return m;
    }

    void compare_served() {
        // In between a site may have had all that it may.
        if (sharing_ && changed_) {
            windows_ = {};
            return;
        }
        auto const now = snapshot();
        std::uint64_t grants = 0;
        for (auto const n : granted_) grants += n;
        for (std::size_t i = 0; i < sites_.size() && grants == 1; ++i) {
            if (granted_[i] == 0 || !before_.sites[i].second) continue;
            for (std::size_t k = 0; k < sites_.size(); ++k)
                expect(!stays(k, now), "a site over its share is served before one that is not");
        }
        for (std::size_t i = 0; i < sites_.size(); ++i) {
            for (std::size_t k = 0; k < i; ++k) {
                auto& window = windows_[i][k];
                // Several grants in one step may hide that a site was in the second tier meanwhile.
                if (grants > 1 || !stays(i, now) || !stays(k, now)) {
                    window = {};
                    continue;
                }
                window.apart += turns_of(i, now) - turns_of(k, now);
                window.low = std::min(window.low, window.apart);
                window.high = std::max(window.high, window.apart);
                covered_.compared += turns_of(i, now) + turns_of(k, now) > 0;
                expect(window.high - window.low <= 1 + 1e-9, "two sites that wait are served more than a turn apart");
            }
        }
    }

    bool stays(std::size_t i, moment const& now) const {
        auto const& was = before_.sites[i];
        auto const& is = now.sites[i];
        return was.eligible && is.eligible && was.weight == is.weight && before_.epoch == now.epoch;
    }
    /// Grants of the site in the last step, in turns.
    double turns_of(std::size_t i, moment const& now) const {
        return static_cast<double>(granted_[i]) / now.sites[i].weight;
    }

    void finish() {
        last_ = "the end";
        if (chance(0.5)) world_.pool->stop();
        world_.stop();
        for (auto const& a : world_.acquires()) {
            expect(a->is != acquire::state::waiting && a->ended == 1, "an acquire outlives the end");
            a->lease.give_back();
        }
        for (auto const& a : apart_) {
            expect(a->ended, "a dial outlives the end");
            covered_.dialled_apart += static_cast<bool>(a->lease);
            a->lease.give_back();
        }
        world_.settle();
        auto const s = world_.pool->look();
        for (std::size_t i = 0; i < dial_purpose_count; ++i) covered_.dials[i] += total(world_.stats.dials[i]);
        for (std::size_t i = 0; i < close_reason_count; ++i)
            covered_.closed[i] += world_.stats.channels_closed[i].value();
        covered_.backoffs += world_.stats.dial_backoffs.value();
        expect(s.open == 0 && s.dialing == 0 && s.waiting == 0 && world_.channels.empty(), "something is left");
        auto const& stats = world_.stats;
        expect(stats.queue_length.value() == 0 && stats.channels_idle.value() == 0 &&
                   stats.channels_active.value() == 0 && stats.channels_dialing.value() == 0,
               "a gauge is not 0 at the end");
    }

    coverage& covered_;
    random_engine random_;
    bool const sharing_;
    std::size_t most_streams_ = 1;
    std::array<fair_flow, sites_max> sites_;  // outlive the world
    pool_world world_;
    std::size_t sites_used_ = 1;
    std::size_t max_held_ = 1;
    std::uint64_t learned_ = 0;
    bool changed_ = false;  // what a channel carries, in the last step
    double refused_ = 0;
    double hung_ = 0;
    double late_ = 0;
    bool used_ = false;
    bool failed_ = false;
    std::uint64_t failures_ = 0;
    std::uint64_t successes_ = 0;
    std::vector<std::shared_ptr<apart>> apart_;
    moment before_;
    struct window {
        double apart = 0;  ///< how many turns one was served more than the other since the window began
        double low = 0;
        double high = 0;
    };
    std::array<std::array<window, sites_max>, sites_max> windows_{};
    std::array<std::uint64_t, sites_max> granted_{};
    std::string last_;
    std::string broken_;
};

constexpr std::uint64_t steps_per_episode = 5'000;

/// One episode: empty, or what broke.
std::string replayed(std::uint64_t seed) {
    coverage covered;
    return episode(seed, covered).run(steps_per_episode);
}

/// Empty, or what broke and how to see it again.
std::string fuzz(std::uint64_t steps, coverage& covered) {
    char const* const replay = std::getenv("JIRAPOOL_FUZZ_SEED");
    std::uint64_t const first = replay != nullptr ? std::strtoull(replay, nullptr, 10) : std::random_device{}();
    std::uint64_t const episodes = replay != nullptr ? 1 : (steps + steps_per_episode - 1) / steps_per_episode;
    std::printf("pool_fuzz_seeds %llu..%llu\n", static_cast<unsigned long long>(first),
                static_cast<unsigned long long>(first + episodes - 1));
    std::fflush(stdout);  // also when a sanitizer ends the process
    // Rare things may not have come up yet, in one run of 200: then it goes on, as far as tells that they do not.
    auto const enough = [&](std::uint64_t done) {
        return done >= episodes && (covered.complete() || done >= 10 * episodes);
    };
    for (std::uint64_t done = 0; replay != nullptr ? done < 1 : !enough(done); ++done) {
        episode e(first + done, covered);
        auto const broken = e.run(steps_per_episode);
        if (!broken.empty()) return broken + "; replay: JIRAPOOL_FUZZ_SEED=" + std::to_string(first + done);
    }
    if (replay == nullptr && !covered.complete()) return "something that it is about never happened";
    return {};
}

}  // namespace

TEST_CASE("origin_pool: random leases, returns, cancels, deaths and failing dials lose no channel and no wake-up") {
    coverage covered;
    CHECK(fuzz(100'000, covered) == "");
}

TEST_CASE("faults: H1 idle channels that turn out to be dead are replaced at once, whoever finds them so") {
    for (auto const seed : {4'199'799'536u, 2'060'479'638u}) CHECK(replayed(seed) == "");
}

TEST_CASE("origin_pool: a million random steps", "[.figures]") {
    auto const begun = std::clock();
    coverage covered;
    // 1000000000 takes half an hour.
    char const* const wanted = std::getenv("JIRAPOOL_POOL_STEPS");
    auto const broken = fuzz(wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 1'000'000, covered);
    support::figure("pool_fuzz_steps", static_cast<double>(covered.steps));
    support::figure("pool_fuzz_cpu_s", static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC);
    support::figure("pool_fuzz_violations", broken.empty() ? 0 : 1);
    CHECK(broken == "");
}
