// What one download to a slow sink costs the calls beside it on the same HTTP/2 channel: hidden from ctest, tests/figures.sh http2 runs it
// in a Release build.
#include "load.hpp"
#include "support/figure.hpp"
#include "support/sanitized.hpp"

#include <jirapool/pool/streams.hpp>

#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using support::figure;

namespace {

using steady = std::chrono::steady_clock;

constexpr std::size_t site_count = 1'000;  // one of them is the hog's
constexpr std::size_t download_bytes = 100'000'000;
constexpr auto download_time = 4s;
constexpr auto between_calls = test::sanitized ? 20ms : 1ms;

mock::params many_sites() {
    mock::params p;
    p.sites = p.service = site_count;
    p.personal = p.oauth = 0;
    p.intercept =
        [body = std::string(download_bytes, 'x')](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        if (r.target.find("/attachment/") == r.target.npos) return std::nullopt;
        return mock::scripted_reply(200, body);
    };
    return p;
}

/// Takes so many bytes a second.
class slow_sink final : public body_sink {
public:
    explicit slow_sink(asio::any_io_executor ex) : timer_(std::move(ex)) {}
    error_code begin(response const&) override {
        begun_ = steady::now();
        return {};
    }
    bool has_begun() const noexcept { return begun_ != steady::time_point(); }
    asio::awaitable<error_code> write(std::string_view piece) override {
        taken_ += piece.size();
        largest = std::max(largest, piece.size());
        timer_.expires_at(begun_ + std::chrono::nanoseconds(download_time) * static_cast<long>(taken_ >> 10) /
                                       static_cast<long>(download_bytes >> 10));
        co_await timer_.async_wait(asio::use_awaitable);
        co_return error_code();
    }
    std::size_t largest = 0;  // piece

private:
    asio::steady_timer timer_;
    steady::time_point begun_;
    std::size_t taken_ = 0;
};

/// A client on the test's own thread, whose quiet sites make one call after the other, evenly.
class crowd {
public:
    explicit crowd(mock_process const& there) : jira(io, one_channel(there)) {
        for (auto const& c : there.world().connections())
            all.push_back(jira.add(fixture::config_of(there.world(), c)).value());
        hog_ = all.back();
        all.pop_back();
    }
    /// The durations of the quiet ones' calls that were due while a download came, or for as long as one takes.
    std::vector<double> round(bool with) {
        bool over = false;
        if (with) {
            auto const sink = std::make_shared<slow_sink>(io.get_executor());
            hog_->async_call(request::get("/rest/api/3/attachment/content/1").timeout(60s), sink,
                             [&, sink](result<response> const& r) {
                                 over = true;
                                 note(r);
                                 largest_piece = std::max(largest_piece, sink->largest);
                             });
            // To make ready what it sends is work for the mock, in which it answers nobody.
            run_until([&] { return over || sink->has_begun(); });
        }
        took_.clear();
        due_ = steady::now();
        auto const end = due_ + download_time;
        next_call();
        run_until([&] { return with ? over : steady::now() >= end; });
        tick_.cancel();
        calling_ = false;
        run_until([&] { return open_ == 0; });
        return took_;
    }
    /// A call of each, so that all have been learned.
    void warm_up() {
        for (int i = 0; i < 2; ++i) {
            for (auto const& c : all) call(c, steady::now());
            run_until([&] { return open_ == 0; });
        }
    }

    asio::io_context io{1};
    client jira;
    std::vector<connection> all;
    std::size_t failed = 0;
    std::string first_failure;
    std::size_t largest_piece = 0;

private:
    static client_params one_channel(mock_process const& there) {
        auto p = there.params(http_versions::http2);
        p.pool.max_channels = 1;
        return p;
    }
    void call(connection const& c, steady::time_point due) {
        ++open_;
        c.async_call(request::get("/rest/api/3/issue/PROJ-1").timeout(30s), [this, due](result<response> const& r) {
            took_.push_back(std::chrono::duration<double, std::milli>(steady::now() - due).count());
            note(r);
            --open_;
        });
    }
    void note(result<response> const& r) {
        if (r && r->ok()) return;
        if (failed++ == 0) first_failure = r ? std::to_string(r->status()) : r.error().describe();
    }
    void next_call() {
        calling_ = true;
        tick_.expires_at(due_);
        tick_.async_wait([this](boost::system::error_code const& ec) {
            if (ec || !calling_) return;
            for (auto const now = steady::now(); due_ <= now; due_ += between_calls)
                call(all[next_++ % all.size()], due_);
            next_call();
        });
    }
    template <class Condition>
    void run_until(Condition const& done) {
        auto const end = steady::now() + 90s;
        while (!done() && steady::now() < end) io.run_one_for(10ms);
        REQUIRE(done());
    }

    std::optional<connection> hog_;
    asio::steady_timer tick_{io};
    steady::time_point due_;
    std::vector<double> took_;
    std::size_t next_ = 0;
    std::size_t open_ = 0;
    bool calling_ = false;
};

double part(std::vector<double> all, double share) {
    auto const at = all.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(all.size()) * share);
    std::nth_element(all.begin(), at, all.end());
    return *at;
}

}  // namespace

TEST_CASE("load figures: a download of 100 MB to a slow sink costs the calls beside it on their channel no time",
          "[.figures]") {
    mock_process const there(many_sites());
    crowd c(there);
    c.warm_up();
    std::vector<double> ratios, with, without;
    std::size_t const rounds = test::sanitized ? 1 : 9;
    for (std::size_t i = 0; i < rounds; ++i) {
        // Whatever drifts counts for both alike.
        bool const first = i % 2 == 0;
        auto const a = part(c.round(first), 0.99);
        auto const b = part(c.round(!first), 0.99);
        with.push_back(first ? a : b);
        without.push_back(first ? b : a);
        ratios.push_back(with.back() / without.back());
    }
    figure("http2_slow_sink_quiet_p99_ms", part(with, 0.5));
    figure("http2_slow_sink_quiet_p99_ms_without", part(without, 0.5));
    figure("http2_slow_sink_quiet_p99_ratio", part(ratios, 0.5));
    INFO(c.first_failure);
    CHECK(c.failed == 0);
    CHECK(c.largest_piece <= std::size_t{64} << 10);
    if (!test::sanitized) CHECK(part(ratios, 0.5) <= 1.2);
}
