#include "support/catch.hpp"
#include "support/figure.hpp"
#include "support/sanitized.hpp"

#include "engine_world.hpp"

#include <jirapool/core/explanation.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using support::figure;

// The bucket is the tenant's: whoever has a token of the site takes from it.
TEST_CASE("sim: what others take of a bucket is estimated to five points, and what they leave is used beside them") {
    double worst_estimate = 0, worst_429 = 0, worst_use = 1, worst_for_others = 0;
    for (int const percent : {20, 40, 60, 80}) {
        if (test::sanitized && percent % 40 != 0) continue;  // the figures have all of them
        model_params m;
        m.sites = 2;
        m.get_rate = 100;
        m.others = percent;
        engine_world w(m, {}, 41);
        w.add_all();
        w.time().run_until(w.time().now() + 5s);
        auto const begun = w.time().now();
        constexpr int length = 120;
        std::vector<double> estimates;  // as calls that waited were told
        auto const note = [&](result<response> const& got) {
            auto const why = got ? got->explanation() : got.error().explanation();
            for (auto const& step : why->steps())
                if (step.note.starts_with("others take ") && w.time().now() >= begun + 60s)
                    estimates.push_back(std::stod(step.note.substr(12)));
        };
        for (auto now = begun; now < begun + std::chrono::seconds(length); now += 7ms) {
            w.time().run_until(now);
            for (std::size_t i = 0; i < 2; ++i) w.start(i, request::get("/rest/api/3/myself"), 5s, note);
        }
        w.time().run_until(begun + std::chrono::seconds(length));
        auto const used = static_cast<double>(w.jira().accepted) / (2.0 * length * (100 - percent));
        w.time().run_until(begun + std::chrono::seconds(length + 10));
        REQUIRE(estimates.size() > 1'000);
        double mean = 0;
        for (auto const e : estimates) mean += e / static_cast<double>(estimates.size());
        auto const limited = static_cast<double>(w.jira().limited) / static_cast<double>(w.jira().requests);
        auto const of_theirs = static_cast<double>(w.jira().others_refused) /
                               static_cast<double>(w.jira().others_accepted + w.jira().others_refused);
        auto const counted = static_cast<double>(w.stats().calls_of_others.value());
        INFO(percent << " %: estimated " << mean << ", used " << used << " of the rest, limited " << limited
                     << ", of the others " << of_theirs << ", counted " << counted << " of "
                     << w.jira().others_accepted);
        CHECK(std::abs(mean - percent) <= 5);
        CHECK(limited <= 0.005);
        CHECK(used >= 0.9);
        CHECK(of_theirs <= 0.01);
        CHECK(counted >= 0.85 * static_cast<double>(w.jira().others_accepted));
        CHECK(counted <= 1.15 * static_cast<double>(w.jira().others_accepted));
        worst_estimate = std::max(worst_estimate, std::abs(mean - percent));
        worst_429 = std::max(worst_429, limited);
        worst_use = std::min(worst_use, used);
        worst_for_others = std::max(worst_for_others, of_theirs);
        CHECK(w.totals.failed == 0);
        w.finish();
        CHECK(w.jira().violations.empty());
    }
    figure("neighbours_estimate_off_points", worst_estimate);
    figure("neighbours_429_share", worst_429);
    figure("neighbours_use_of_rest", worst_use);
    figure("neighbours_theirs_refused_share", worst_for_others);
}
