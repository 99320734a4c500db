// What a client tells of itself, as a program uses it: from any thread, before it runs and after it ended.
#include "fixture.hpp"

#include <jirapool/core/overview.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

std::size_t known(std::vector<std::shared_ptr<survey const>> const& seen) {
    std::size_t n = 0;
    for (auto const& s : seen) n += s ? 1 : 0;
    return n;
}

}  // namespace

TEST_CASE("overview: a client that nobody runs is waited for no longer than was said, and is seen once it runs") {
    fixture f(small_world());
    asio::io_context io;
    client jira(io, f.params);
    auto const view = jira.overview();
    for (auto const& c : f.jira.world().connections()) jira.add(f.config(c.id)).value();
    CHECK(known(view->look(1ms)) == 0);
    CHECK(known(view->look(1ms)) == 0);  // that it was asked before changes nothing
    CHECK(view->sites(1ms).empty());
    CHECK(view->connections().size() == f.jira.world().connections().size());
    CHECK(view->paces().front().lag > 0ns);
    std::thread runs([&] { io.run(); });
    auto const seen = view->look(60s);
    REQUIRE(known(seen) == 1);
    CHECK(view->sites(60s).size() > 1);
    auto const named = view->sites(60s);
    for (auto const& s : named) CHECK_FALSE(s.site.empty());
    jira.stop();
    CHECK(known(view->look(60s)) == 1);  // as its executor runs on
    io.stop();
    runs.join();
    CHECK(known(view->look(1ms)) == 1);
}

TEST_CASE("overview: on the client's own thread nothing is waited for") {
    fixture f(small_world());
    asio::io_context io;
    client jira(io, f.params);
    auto const view = jira.overview();
    jira.add(f.config(f.jira.world().connections()[0].id)).value();
    std::size_t first = 9;
    std::size_t later = 9;
    asio::post(io, [&] {
        first = known(view->look(1h));
        // Behind the survey's turns, which are two of so few.
        asio::post(io, [&] {
            asio::post(io, [&] {
                asio::post(io, [&] {
                    later = known(view->look(1h));
                    jira.stop();
                    io.stop();
                });
            });
        });
    });
    io.run();
    CHECK(first == 0);
    CHECK(later == 1);
}

TEST_CASE("overview: nothing is waited for on a client's strand either, whichever thread it runs on") {
    fixture f(small_world());
    asio::thread_pool pool(3);
    auto const strand = asio::make_strand(pool);
    f.params.executor_is_serial = true;
    client jira(strand, f.params);
    auto const view = jira.overview();
    auto const c = jira.add(f.config(f.jira.world().connections()[0].id)).value();
    for (int i = 0; i < 20; ++i) {
        std::promise<void> looked;
        asio::post(strand, [&] {
            view->look(1h);
            view->sites(1h);
            looked.set_value();
        });
        REQUIRE(looked.get_future().wait_for(60s) == std::future_status::ready);
    }
    CHECK(known(view->look(60s)) == 1);
    jira.stop();
    pool.join();
}

TEST_CASE("overview: clients come and go while other threads look at them") {
    fixture f(small_world());
    std::mutex mutex;
    std::vector<std::shared_ptr<overview const>> views;
    std::atomic<bool> over{false};
    std::atomic<unsigned> looks{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; ++t)
        readers.emplace_back([&, t] {
            while (!over) {
                std::vector<std::shared_ptr<overview const>> now;
                {
                    std::lock_guard const lock(mutex);
                    now = views;
                }
                for (auto const& v : now) {
                    if (t == 0) v->look(5ms);
                    if (t == 1) v->sites(5ms);
                    if (t == 2) v->connections();
                    v->paces();
                    ++looks;
                }
                std::this_thread::yield();
            }
        });
    for (int i = 0; i < 10; ++i) {
        runtime jira(2, f.params);
        {
            std::lock_guard const lock(mutex);
            views.push_back(jira.overview());
            if (views.size() > 4) views.erase(views.begin());
        }
        std::vector<connection> all;
        for (auto const& c : f.jira.world().connections()) all.push_back(jira.add(f.config(c.id)).value());
        for (auto const& c : all) CHECK(call(c, request::get("/rest/api/3/myself")).has_value());
        jira.remove(all.front().id());
        if (i % 2 == 0) jira.stop();
    }
    auto const before = looks.load();
    while (looks < before + 20) std::this_thread::yield();
    over = true;
    for (auto& t : readers) t.join();
    for (auto const& v : views) {
        CHECK(v->connections().empty());
        CHECK(detail::stats_access::of(*v).size() == 2);
    }
}
