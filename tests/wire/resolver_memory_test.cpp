// A lookup that lacks memory, at each place where it takes some.
#include "failing_allocator.hpp"
#include "fixture.hpp"
#include "support/dns_server.hpp"

#include "wait/here_executor.hpp"
#include "wait/timer_alarm.hpp"
#include "wire/ares_resolver.hpp"

#include <boost/asio/bind_executor.hpp>

#include <new>

using namespace jirapool;
using namespace jirapool::detail;
using namespace jirapool::support;
using namespace jirapool::wire_test;

namespace {

class lookup_run {
public:
    lookup_run(std::string const& conf, dns_server const& dns)
        : timers_(system_clock(), make_timer_alarm(io_.get_executor())) {
        ares_resolver::settings s;
        s.resolv_conf = conf;
        s.port = dns.port();
        resolver_.emplace(io_.get_executor(), timers_, s);
    }

    /// Where the n-th allocation fails, from the lookup's first step. @return whether there was one.
    bool run(std::string const& name, std::size_t n) {
        how.reset();
        no_memory = false;
        bool ended = false;
        auto end = [&](std::exception_ptr e, resolved r) {
            ended = true;
            how = r.how;
            try {
                if (e) std::rethrow_exception(e);
            } catch (std::bad_alloc const&) {
                no_memory = true;
            }
        };
        asio::co_spawn(io_, resolver_->resolve(name, timers_.now() + 5s), asio::bind_executor(here_executor(io_), end));
        bool failed = false;
        {
            failing_allocation const failing(n);
            io_.restart();
            while (!ended && io_.run_one_for(10s) == 1) {
            }
            failed = failing.failed();
        }
        CHECK(ended);
        return failed;
    }
    std::size_t lookup_count() const { return resolver_->lookup_count(); }

    std::optional<resolved::outcome> how;
    bool no_memory = false;

private:
    asio::io_context io_;
    timers timers_;
    std::optional<ares_resolver> resolver_;
};

}  // namespace

TEST_CASE("border 9: a lookup that lacks memory has failed, and the next one finds all as it was") {
    dns_server dns([](std::string const&) { return dns_act::address; });
    resolv_conf const conf(dns.line());
    for (bool const used : {false, true}) {
        std::size_t n = 1;
        for (bool failed = true; failed && n < 200; ++n) {
            INFO((used ? "used, " : "new, ") << "allocation " << n);
            lookup_run names(conf.path(), dns);
            if (used) names.run("first.example.com", 1'000'000);
            failed = names.run("name.example.com", n);
            CHECK((names.no_memory || names.how == resolved::outcome::failed || names.how == resolved::outcome::found));
            if (!failed) CHECK(names.how == resolved::outcome::found);
            names.run("name.example.com", 1'000'000);
            CHECK(names.how == resolved::outcome::found);
            names.run("other.example.com", 1'000'000);
            CHECK(names.how == resolved::outcome::found);
            CHECK(names.lookup_count() == 0);
        }
        CHECK(n > 3);
        CHECK(n < 200);
    }
}
