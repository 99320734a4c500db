// What becomes of calls when a server says GOAWAY ten thousand times: hidden from ctest, tests/figures.sh http2 runs it in a Release build.
#include "load.hpp"
#include "support/figure.hpp"
#include "support/sanitized.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <string>

using namespace jirapool;
using namespace jirapool::wire_test;
using support::figure;

namespace {

constexpr std::size_t at_once = 100;

mock::params busy_world() {
    mock::params p;
    // As many as it takes that the rate that Jira allows a site is not what the calls wait for.
    p.sites = p.service = 400;
    p.personal = p.oauth = 0;
    p.burst_scale = 1000;
    p.issue_bytes = 4000;
    p.http2.max_concurrent_streams =
        20;  // so there are several channels, and one that ends does not take all calls with it
    return p;
}

bool creates(std::size_t n) { return n % 4 == 3; }
std::string id_of(std::size_t n) { return "call-" + std::to_string(n); }

request nth(std::size_t n) {
    if (!creates(n)) return request::get("/rest/api/3/issue/PROJ-" + std::to_string(1 + n % 50)).timeout(30s);
    return request::post("/rest/api/3/issue")
        .header("x-mock-request-id", id_of(n))
        .json(R"({"fields":{"project":{"key":"PROJ"},"summary":"made once","issuetype":{"name":"Task"}}})")
        .timeout(30s);
}

/// A client under load, and what became of its calls.
class world {
public:
    world() : f(busy_world()), jira(1, over_http2(f.params)) {
        std::vector<connection> all;
        for (auto const& c : f.jira.world().connections()) all.push_back(jira.add(f.config(c.id)).value());
        calls = std::make_unique<endless_calls>(std::move(all), at_once, nth,
                                                [this](std::size_t n, result<response> const& end) { on_end(n, end); });
    }
    ~world() { calls->end(0ms); }

    /// Of so many requests about one meets one of these sorts, until so many GOAWAYs were sent.
    void play(std::vector<mock::http2_step> const& sorts, std::uint64_t of, std::uint64_t goaways) {
        auto const until = sent() + goaways;
        // Their distances differ, so that none is always in another one's place.
        std::uint64_t distance = of * sorts.size();
        for (auto const& step : sorts) f.jira.play({step, distance++, {}});
        REQUIRE(eventually([&] { return sent() >= until; }, 600s));
        f.jira.end_http2_faults();
    }
    /// The same in place of reads' answers, on channels that have served: what ends before it answered anything looks like an outage, in
    /// which only as much is sent again as the budgets have saved up.
    void cut_off_reads(std::vector<mock::http2_step> sorts, std::uint64_t of, std::uint64_t goaways) {
        auto const until = sent() + goaways;
        std::uint64_t seen = 0;
        std::size_t next = 0;
        f.jira.set_intercept(
            [=, sorts = std::move(sorts)](mock::request_view const& r) mutable -> std::optional<mock::scripted_reply> {
                constexpr std::uint64_t served = 60;
                if (++seen < of || r.method != "GET" || r.request < served) return std::nullopt;
                seen = 0;
                mock::scripted_reply reply(200, std::string(4000, 'x'));
                reply.http2 = sorts[next++ % sorts.size()];
                return reply;
            });
        REQUIRE(eventually([&] { return sent() >= until; }, 600s));
        f.jira.set_intercept({});
    }
    /// GOAWAYs, of which a graceful one counts once, though it is said twice.
    std::uint64_t sent() const {
        auto const s = f.jira.snapshot();
        auto const graceful = s.http2_faults.find("goaway");
        return s.goaways - (graceful == s.http2_faults.end() ? 0 : std::min(s.goaways / 2, graceful->second));
    }

    std::unique_ptr<endless_calls> calls;  // outlives those that the client ends
    fixture f;
    std::atomic<std::uint64_t> ended{0};
    std::atomic<std::uint64_t> failed{0};
    /// Of requests that the server got and never answered, which may not be sent twice.
    std::atomic<std::uint64_t> cut_off{0};
    std::mutex mutex;
    std::map<std::string, int> failures;
    runtime jira;

private:
    static client_params over_http2(client_params p) {
        p.wire.http = http_versions::http2;
        return p;
    }
    void on_end(std::size_t n, result<response> const& end) {
        ++ended;
        if (end && end->ok()) return;
        bool const unknown = creates(n) && !end && end.error().code() == errc::channel_lost &&
                             end.error().maybe_processed();
        if (unknown) ++cut_off;
        else ++failed;
        std::lock_guard const lock(mutex);
        ++failures[(creates(n) ? "POST " : "GET ") + std::string(unknown ? "cut off " : "") +
                   (end ? std::to_string(end->status()) : end.error().rule())];
    }
};

}  // namespace

TEST_CASE("load figures: ten thousand GOAWAYs under mixed calls lose none that the server did not act on",
          "[.figures]") {
    std::uint64_t const goaways = test::sanitized ? 1'000 : 10'000;
    world w;
    using mock::http2_error;
    using mock::http2_fault;
    // Behind these each request is answered, or was not touched.
    w.play({{http2_fault::goaway}, {http2_fault::goaway_untouched}, {http2_fault::goaway_mid_body}}, 30,
           goaways * 19 / 20);
    CHECK(w.cut_off == 0);
    CHECK(w.failed == 0);
    auto const lost_in_order = w.cut_off.load();
    // Behind these some that the server acted on are never answered.
    w.cut_off_reads({{http2_fault::goaway_error, http2_error::internal_error},
                     {http2_fault::goaway_error, http2_error::enhance_your_calm},
                     {http2_fault::goaway_cut, http2_error::no_error},
                     {http2_fault::goaway_cut, http2_error::internal_error}},
                    300, goaways / 20);
    bool const all_ended = w.calls->end(60s);
    REQUIRE(all_ended);
    auto const s = w.f.jira.snapshot();
    std::string told;
    for (auto const& [what, times] : w.failures) told += "\n" + std::to_string(times) + " " + what;
    for (auto const& [what, times] : s.http2_faults) told += "\n" + what + " " + std::to_string(times);
    INFO(told);
    CHECK(w.sent() >= goaways);
    CHECK(w.failed == 0);
    CHECK(s.ids_acted_on_again == 0);
    CHECK(s.bad_requests == 0);
    CHECK(s.streams_untouched > goaways / 10);
    figure("http2_goaways", static_cast<double>(w.sent()));
    figure("http2_goaway_calls", static_cast<double>(w.ended));
    figure("http2_goaway_calls_failed", static_cast<double>(w.failed + lost_in_order));
    figure("http2_goaway_posts_cut_off", static_cast<double>(w.cut_off - lost_in_order));
    figure("http2_goaway_post_duplicates", static_cast<double>(s.ids_acted_on_again));
    figure("http2_goaway_untouched", static_cast<double>(s.streams_untouched));
}
