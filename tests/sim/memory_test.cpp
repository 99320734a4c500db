#include "support/catch.hpp"
#include "support/figure.hpp"

#include "counting_allocator.hpp"
#include "engine_world.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::sim;
using namespace std::chrono_literals;

namespace {

/// A text: the std::string, and what it has on the heap.
std::size_t cost(std::string_view text) {
    constexpr std::size_t inside = 15;
    auto const heap = text.size() <= inside ? 0 : (text.size() + 1 + sizeof(std::size_t) + 15) / 16 * 16;
    return sizeof(std::string) + heap;
}

enum class layout { one_site_each, all_of_one_site };

/// What the engine gives back when it is destroyed, for each of `count` idle connections, beside their texts (each once).
double bytes_per_connection(std::size_t count, layout how) {
    model_params m;
    m.sites = count;
    client_params p;
    p.pool.max_queue = count;                                    // all ask for their first token at once
    p.tokens.exchanges_per_second = static_cast<double>(count);  // and get it: this is about what they cost then
    engine_world w(m, p, 20);
    std::vector<connection> all;
    for (std::size_t i = 0; i < count; ++i) {
        auto const own = w.jira().config(i);
        auto const site = w.jira().config(how == layout::one_site_each ? i : 0);
        all.push_back(w.engine()
                          .add(make_connection_config(own.id(), service_oauth(site.cloud()->str(), own.principal(),
                                                                              own.key().clone()))
                                   .value())
                          .value());
    }
    w.time().run_until(w.time().now() + 15min);
    REQUIRE(w.jira().refreshes >= count);
    if (how == layout::one_site_each) {
        for (std::size_t i = 0; i < count; ++i) {
            all[i].async_call(request::get("/rest/api/3/myself"), [](result<response> const&) {});
            if (i % 1000 == 0) w.time().run_until(w.time().now() + 100ms);  // as many as the channels carry
        }
        w.time().run_until(w.time().now() + 5min);  // every site was used, and no channel is open any more
        REQUIRE(w.jira().accepted == count);
    }
    // A million credentials renew all the time: a few channels may be open for that.
    REQUIRE(w.stats().channels_idle.value() + w.stats().channels_active.value() <= 256);
    all = {};

    auto const sample = w.jira().config(count / 2);
    auto texts = cost(sample.id()) + cost(sample.host() + sample.base_path()) + cost(sample.principal()) +
                 cost(sample.key().reveal()) + cost("Bearer t-1000000-1");
    if (how == layout::one_site_each) texts += cost(sample.cloud()->str());  // the site's name
    auto const before = live_bytes();
    w.destroy_engine();
    return static_cast<double>(before - live_bytes()) / static_cast<double>(count) - static_cast<double>(texts);
}

struct bytes {
    double connection = 0;
    double site = 0;
};

bytes measure(std::size_t count) {
    bytes b;
    b.connection = bytes_per_connection(count, layout::all_of_one_site);
    b.site = bytes_per_connection(count, layout::one_site_each) - b.connection;
    return b;
}

}  // namespace

// What it is made of: pool/README.md.
TEST_CASE("sim: an idle connection, and an idle site, cost a few hundred bytes beside their texts") {
    auto const b = measure(2'000);
    INFO("connection " << b.connection << ", site " << b.site);
    CHECK(b.connection <= 512);
    CHECK(b.site <= 512);
}

TEST_CASE("sim: bytes of idle connections and sites at ten thousand, a hundred thousand and a million", "[.memory]") {
    for (auto const& [count, name] :
         {std::pair(10'000, "10k"), std::pair(100'000, "100k"), std::pair(1'000'000, "1M")}) {
        auto const b = measure(static_cast<std::size_t>(count));
        support::figure(std::string("bytes_per_idle_connection_") + name, b.connection);
        support::figure(std::string("bytes_per_idle_site_") + name, b.site);
    }
}
