#include "support/catch.hpp"
#include "support/figure.hpp"

#include "engine_world.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;
using support::figure;

namespace {

constexpr std::size_t accounts = 4;
constexpr auto reset_every = 10min;  // Jira's hour, made short: what counts is what the 429 says

struct ran {
    std::uint64_t others = 0;        ///< calls of the other accounts that succeeded
    std::uint64_t before_reset = 0;  ///< of the first one that reached Jira though it was told to wait
    std::uint64_t told = 0;          ///< its 429s
    std::uint64_t own = 0;           ///< its calls that succeeded
    std::vector<std::string> why;    ///< what its calls were refused with
};

/// Accounts of one site at two calls a second each. The first may have so many points in ten minutes; 0: any number.
ran run_accounts(int budget, bool tells_time) {
    model_params m;
    m.sites = accounts;
    engine_world w(m, {}, 42);
    std::vector<connection> all;
    for (std::size_t i = 0; i < accounts; ++i) {
        auto const own = w.jira().config(i);
        auto made = make_connection_config(own.id(), service_oauth(w.jira().config(0).cloud()->str(), own.principal(),
                                                                   own.key().clone()));
        all.push_back(w.engine().add(std::move(made).value()).value());
    }
    w.time().run_until(w.time().now() + 5s);
    auto const begun = w.time().now();
    ran r;
    int used = 0;
    auto closed_at = steady_time::max();
    auto reset_at = begun + reset_every;
    w.jira().script = [&](std::string_view host, detail::exchange_input const& in, jira_model::reply& reply) {
        if (host != gateway_host) return false;
        reply.answer.set_status(200);
        reply.answer.add_header("X-RateLimit-Limit", "100");
        reply.answer.add_header("X-RateLimit-Remaining", "99");
        if (!in.authorization.starts_with("Bearer t-0-") || budget == 0) return true;
        auto const now = w.time().now();
        if (now >= reset_at) {
            used = 0;
            closed_at = steady_time::max();
            reset_at += reset_every;
        }
        // Those that were on their way when it was told are not held against it.
        if (now - 1s > closed_at) ++r.before_reset;
        int const cost = in.target.find("search") != std::string_view::npos ? 20 : 1;
        if (used + cost <= budget) {
            used += cost;
            return true;
        }
        ++r.told;
        closed_at = std::min(closed_at, now);
        reply.answer.set_status(429);
        reply.answer.add_header("RateLimit-Reason", "jira-cost-based");
        if (tells_time)
            reply.answer.add_header("Retry-After",
                                    std::to_string(std::chrono::ceil<std::chrono::seconds>(reset_at - now).count()));
        return true;
    };
    std::uint64_t n = 0;
    for (auto now = begun; now < begun + 3 * reset_every; now += 500ms, ++n) {
        w.time().run_until(now);
        for (std::size_t i = 0; i < accounts; ++i) {
            auto made = n % 3 == 0 ? request::get("/rest/api/3/myself")
                                   : request::post("/rest/api/3/search/jql").json("{}");
            all[i].async_call(std::move(made).timeout(2s).explain(), [&r, i](result<response> const& got) {
                bool const ok = got && got->ok();
                (i == 0 ? r.own : r.others) += ok;
                if (i == 0 && !got) r.why.emplace_back(got.error().rule());
            });
        }
    }
    w.time().run_until(begun + 3 * reset_every + 5s);
    all.clear();
    w.finish();
    return r;
}

}  // namespace

TEST_CASE(
    "sim: an account whose budget is used up sends nothing before its reset, and costs the site's others nothing") {
    auto const free = run_accounts(0, true);
    REQUIRE(free.others == 3 * 3'600);
    auto const limited = run_accounts(6'000, true);
    INFO("others " << limited.others << ", told " << limited.told << ", before the reset " << limited.before_reset
                   << ", own " << limited.own);
    auto const throughput = static_cast<double>(limited.others) / static_cast<double>(free.others);
    figure("account_others_throughput", throughput);
    figure("account_calls_before_reset", static_cast<double>(limited.before_reset));
    CHECK(throughput >= 0.99);
    CHECK(limited.before_reset == 0);
    // One 429 in each of the three stretches, or as many as were in flight together.
    CHECK(limited.told >= 3);
    CHECK(limited.told <= 6);
    // Half a minute's jitter would be too much to wait for: some 440 calls fit into each budget.
    CHECK(limited.own >= 3 * 400);
    // From the second on it is told what used it up.
    auto const names = [](std::string const& text) {
        return text.find("POST /rest/api/{version}/search/jql 67 %, GET /rest/api/{version}/myself 33 % of its ") !=
               std::string::npos;
    };
    CHECK(std::count_if(limited.why.begin(), limited.why.end(), names) >= 500);

    // Where no time is named it rests until the hour's end, as its document says.
    auto const untold = run_accounts(6'000, false);
    CHECK(untold.before_reset == 0);
    CHECK(untold.others == free.others);
    CHECK(untold.told <= 2);
}

TEST_CASE("sim: an account that may have few calls at a time is given way, and used nearly whole") {
    for (unsigned const limit : {1u, 4u, 12u}) {
        model_params m;
        m.sites = 2;
        m.get_rate = 1'000;
        m.account_calls = limit;
        engine_world w(m, {}, 43);
        w.add_all();
        w.time().run_until(w.time().now() + 5s);
        auto const begun = w.time().now();
        // A call takes 40 ms there and back, so that many a second may go.
        double const possible = limit / 0.04;
        auto const every = std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(1 /
                                                                                                     (1.3 * possible)));
        std::uint64_t other = 0;
        auto next_other = begun;
        for (auto now = begun; now < begun + 120s; now += every) {
            w.time().run_until(now);
            w.start(0, request::get("/rest/api/3/myself"), 5s);
            if (now < next_other) continue;
            next_other += 200ms;
            w.start(1, request::get("/rest/api/3/myself"), 5s,
                    [&](result<response> const& got) { other += got && got->ok(); });
        }
        auto const before = w.jira().limited;
        w.time().run_until(begun + 130s);
        double const used = static_cast<double>(w.totals.succeeded - other) / (possible * 120);
        double const limited = static_cast<double>(before) / static_cast<double>(w.jira().requests);
        INFO("at most " << limit << ": used " << used << ", limited " << limited << ", other " << other);
        CHECK(used >= (limit > 1 ? 0.6 : 0.5));
        CHECK(limited <= (limit > 1 ? 0.01 : 0.03));
        CHECK(other == 600);
        CHECK(w.totals.failed == 0);
        w.finish();
        CHECK(w.jira().violations.empty());
    }
}
