// Figures of accounts and of others' load, over TLS against the mock: hidden from ctest, tests/figures.sh lives runs them in a Release
// build.
#include "fixture.hpp"
#include "support/figure.hpp"

#include <jirapool/core/explanation.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using support::figure;

namespace {

using clock_type = std::chrono::steady_clock;

request myself(std::chrono::milliseconds timeout) {
    return request::get("/rest/api/3/myself").timeout(timeout).explain();
}

/// A client whose loop runs on a thread of its own.
class world {
public:
    explicit world(mock::params p) : f(std::move(p)), jira(io, serial(f.params)) {
        thread_ = std::thread([this] { io.run(); });
    }
    ~world() { stop(); }

    /// What the loop's handlers wrote may be read behind it.
    void stop() {
        if (!thread_.joinable()) return;
        over_ = true;
        jira.stop();
        thread_.join();
    }

    /// Whenever a call ends the next one begins; `ended` is told of each.
    template <class Ended>
    void keep_calling(connection const& c, Ended ended) {
        c.async_call(myself(60s), [this, c, ended](result<response> const& r) {
            if (over_) return;
            ended(r);
            keep_calling(c, ended);
        });
    }

    fixture f;
    asio::io_context io{1};
    client jira;

private:
    static client_params serial(client_params p) {
        p.executor_is_serial = true;
        return p;
    }

    std::thread thread_;
    std::atomic<bool> over_{false};
};

// Accounts

constexpr std::size_t calls_of_window = 500;
constexpr auto rest = 40s;  // Jira's hour, made short

/// The windows of a run, each of so many calls of the other accounts.
enum window : std::size_t { learning, alone, exhausted, beside, alone_again, beside_again, window_count };

/// Calls a second by the line through all calls of a window, which a stall of the machine at one of its ends does not move.
double rate_in(std::vector<clock_type::time_point> const& ended, window w) {
    double const n = calls_of_window;
    double slope = 0;
    for (std::size_t i = 0; i < calls_of_window; ++i) {
        std::chrono::duration<double> const at = ended[w * calls_of_window + i] - ended[w * calls_of_window];
        slope += (static_cast<double>(i) - (n - 1) / 2) * at.count();
    }
    return n * (n * n - 1) / 12 / slope;
}

}  // namespace

TEST_CASE("limits: figures of an account whose budget is used up while its site's others work", "[.figures]") {
    mock::params one_site;
    one_site.sites = 1;
    one_site.personal = 1;
    one_site.service = 3;
    one_site.oauth = 1;
    world w(one_site);
    std::string const subject = "service-0001";
    std::string const shows = "Bearer " + w.f.jira.world().find(subject)->secret;
    std::atomic<bool> used_up{false};
    std::atomic<clock_type::time_point> reset_at{clock_type::time_point::max()};
    std::atomic<int> told{0}, before_reset{0}, behind_reset{0};
    w.f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        if (!used_up || r.header("Authorization") != shows) return std::nullopt;
        auto const now = clock_type::now();
        auto never = clock_type::time_point::max();
        if (reset_at.compare_exchange_strong(never, now + rest)) ++told;
        else if (now < reset_at.load()) ++before_reset;
        else return ++behind_reset, std::nullopt;
        mock::scripted_reply limited(429);
        limited.headers = {
            {"RateLimit-Reason", "jira-cost-based"},
            {"Retry-After", std::to_string(std::chrono::ceil<std::chrono::seconds>(reset_at.load() - now).count())}};
        return limited;
    });

    // The loop's.
    std::vector<clock_type::time_point> ended;
    int failed = 0, pressed = 0, refused = 0, own_status = 0;
    std::atomic<std::size_t> windows_over{0};
    std::atomic<bool> own_over{false};
    auto const me = w.jira.add(w.f.config(subject)).value();
    auto const press = [&] {
        ++pressed;
        me.async_call(myself(1s), [&](result<response> const& r) {
            refused += !r && r.error().code() == errc::limited_past_deadline;
        });
    };
    auto const other_ended = [&](result<response> const& r) {
        if (!r || r->status() != 200) ++failed;
        if (windows_over == window_count) return;
        ended.push_back(clock_type::now());
        auto const now_in = ended.size() / calls_of_window;
        if (now_in == exhausted && !used_up.exchange(true)) {
            press();
            // This one has time until behind the reset.
            me.async_call(myself(3 * rest), [&](result<response> const& own) {
                own_status = own ? own->status() : 0;
                own_over = true;
            });
        }
        // As many calls as the others': without its rest it would take half of the site's rate.
        if (now_in == beside || now_in == beside_again) press();
        windows_over = now_in;
    };
    asio::post(w.io, [&] {
        for (auto const& c : w.f.jira.world().connections()) {
            if (c.id == subject) continue;
            auto const other = w.jira.add(w.f.config(c.id)).value();
            for (int i = 0; i < 8; ++i) w.keep_calling(other, other_ended);
        }
    });
    REQUIRE(eventually([&] { return windows_over == window_count; }, 120s));
    // Else the last window had no exhausted account beside it.
    REQUIRE(clock_type::now() < reset_at.load());
    REQUIRE(eventually([&] { return own_over.load(); }, 2 * rest));
    w.stop();

    double const without = rate_in(ended, alone) + rate_in(ended, alone_again);
    double const with = rate_in(ended, beside) + rate_in(ended, beside_again);
    INFO("others' calls a second " << without / 2 << ", beside it " << with / 2 << "; its calls " << pressed
                                   << ", refused here " << refused << ", told " << told << ", before its reset "
                                   << before_reset);
    figure("account_tls_others_throughput", with / without);
    figure("account_tls_calls_before_reset", before_reset);
    CHECK(with / without >= 0.99);
    CHECK(before_reset == 0);
    CHECK(failed == 0);
    // It would have called, and did so behind its reset.
    CHECK(told == 1);
    CHECK(refused >= static_cast<int>(2 * calls_of_window - 1));
    CHECK(own_status == 200);
    CHECK(behind_reset >= 1);
}

// Neighbours

namespace {

constexpr auto learned_after = 20s;
constexpr auto measured_for = 100s;

/// A site whose bucket others use too, and who presses on it.
struct shared_site {
    double rate;  ///< of the bucket, calls a second
    int percent;  ///< of it are others'
    double told_sum = 0;
    double told_worst = 0;  ///< off by so many points
    int told = 0;           ///< so often
    int answers = 0;
    int failed = 0;
};

}  // namespace

TEST_CASE("limits: figures of what others take of a bucket, and of what is left", "[.figures]") {
    std::vector<shared_site> sites;
    for (double const rate : {100.0, 20.0})
        for (int const percent : {20, 50, 80}) sites.push_back({.rate = rate, .percent = percent});
    mock::params p;
    p.sites = sites.size();
    p.personal = p.oauth = 0;
    p.service = sites.size();
    world w(p);
    for (std::size_t i = 0; i < sites.size(); ++i) {
        mock::site_limits limits;
        limits.burst_scale = sites[i].rate / 100;
        limits.foreign_load = sites[i].percent / 100.0;
        w.f.jira.set_limits(i, limits);
    }
    auto const begun = clock_type::now();
    asio::post(w.io, [&] {
        for (auto const& c : w.f.jira.world().connections()) {
            auto const one = w.jira.add(w.f.config(c.id)).value();
            auto& site = sites[c.site];
            auto const ended = [&site, begun](result<response> const& r) {
                ++site.answers;
                if (!r || r->status() != 200) ++site.failed;
                if (clock_type::now() < begun + learned_after) return;
                auto const why = r ? r->explanation() : r.error().explanation();
                for (auto const& step : why->steps()) {
                    if (!step.note.starts_with("others take ")) continue;
                    auto const percent = std::stod(step.note.substr(12));
                    ++site.told;
                    site.told_sum += percent;
                    site.told_worst = std::max(site.told_worst, std::abs(percent - site.percent));
                }
            };
            for (int i = 0; i < 16; ++i) w.keep_calling(one, ended);
        }
    });
    REQUIRE(eventually([&] { return clock_type::now() >= begun + learned_after + measured_for; }, 300s));
    auto const stats = w.f.jira.snapshot();
    w.stop();
    double worst_estimate = 0, worst_429 = 0;
    auto const& all = w.f.jira.world().connections();
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto const& s = sites[all[i].site];
        auto const& of_mock = stats.connections[i];
        REQUIRE(s.told > 50);
        auto const limited = static_cast<double>(of_mock.limited) / static_cast<double>(of_mock.requests);
        double const mean = s.told_sum / s.told;
        INFO(s.percent << " % of " << s.rate << ": estimated " << mean << ", off by " << s.told_worst
                       << " at worst, limited " << of_mock.limited << " of " << of_mock.requests << " " << limited);
        CHECK(std::abs(mean - s.percent) <= 5);
        CHECK(limited <= 0.005);
        CHECK(s.failed == 0);
        worst_estimate = std::max(worst_estimate, std::abs(mean - s.percent));
        worst_429 = std::max(worst_429, limited);
    }
    figure("neighbours_tls_estimate_off_points", worst_estimate);
    figure("neighbours_tls_429_share", worst_429);
}
