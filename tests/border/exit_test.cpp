#include "support/process_threads.hpp"
#include "wire/fixture.hpp"

#include <jirapool/pool/runtime.hpp>

#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <sstream>
#include <string>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

constexpr char const* told = "JIRAPOOL_EXIT_CHILD";  // port, authority's file, cloud ID, key
constexpr int as_wanted = 42;                        // 0 says also that no test has this name
constexpr char const* test_name =
    "border: a runtime of static lifetime ends behind main with dials and calls under way";

// Both are destroyed behind whatever main has registered with atexit, OpenSSL's own handler among it; the runtime first, as
// its threads use the connection.
std::unique_ptr<connection> connected;
std::unique_ptr<runtime> kept;
std::atomic<int> answered{0};

void call_again() {
    connected->async_call(request::get("/rest/api/3/myself"), [](result<response> const& r) {
        answered += r.has_value();
        if (r || r.error().code() != errc::stopped) call_again();
    });
}

/// In a process that has used no OpenSSL before jirapool did.
void leave_main_with_work_under_way(std::string const& text) {
    std::istringstream in(text);
    unsigned short port = 0;
    std::string ca, cloud, key;
    in >> port >> ca >> cloud >> key;
    client_params p;
    p.user_agent = "jirapool-tests/1 (+tests@example.com)";
    p.tls.ca_file = ca;
    p.connect_to.push_back({"", "127.0.0.1", port});
    p.pool.max_lifetime = 5ms;
    p.pool.min_idle = 16;
    kept = std::make_unique<runtime>(2, std::move(p));
    auto config = make_connection_config("x", service_api_token(cloud, secret(key)));
    REQUIRE(config.has_value());
    connected = std::make_unique<connection>(kept->add(std::move(*config)).value());
    for (int i = 0; i < 20; ++i) call_again();
    REQUIRE(eventually([] { return answered >= 100; }));
    REQUIRE(eventually([] { return kept->totals().channels_dialing > 0; }));
}

}  // namespace

TEST_CASE("border: a runtime of static lifetime ends behind main with dials and calls under way") {
    if (char const* const text = std::getenv(told)) {
        leave_main_with_work_under_way(text);
        std::exit(as_wanted);
    }
    auto world = small_world();
    world.burst_scale = 1000;
    fixture f(std::move(world));
    auto const& c = *f.jira.world().find("service-0001");
    std::ostringstream text;
    text << f.jira.port() << ' ' << f.params.tls.ca_file << ' ' << f.jira.world().site_of(c).cloud_id << ' '
         << c.secret;
    std::string const variable = std::string(told) + "=" + text.str();
    for (int i = 0; i < 3; ++i) {
        auto const pid = ::fork();
        if (pid == 0) {
            ::putenv(const_cast<char*>(variable.c_str()));
            ::execl("/proc/self/exe", "border_tests", test_name, nullptr);
            ::_exit(127);
        }
        int status = -1;
        REQUIRE(::waitpid(pid, &status, 0) == pid);
        CHECK((WIFEXITED(status) && WEXITSTATUS(status) == as_wanted));
    }
}

TEST_CASE("border: a runtime that its own handler destroys with nothing under way is gone at once") {
    fixture f;
    auto const before = support::process_threads();
    for (unsigned const threads : {1u, 3u}) {
        auto jira = std::make_unique<runtime>(threads, f.params);
        auto const c = jira->add(f.config("service-0001")).value();
        REQUIRE(call(c, request::get("/rest/api/3/myself")).has_value());
        std::promise<std::chrono::nanoseconds> took;
        c.async_call(request::get("/rest/api/3/myself"), [&](result<response> const&) {
            auto const begun = std::chrono::steady_clock::now();
            jira.reset();
            took.set_value(std::chrono::steady_clock::now() - begun);
        });
        // What is under way gets half a second. Here is nothing, so that a part of it shows that nobody waited for it.
        CHECK(took.get_future().get() < 400ms);
        // The thread that destroyed it is nobody's to join.
        CHECK(eventually([&] { return support::process_threads() == before; }));
    }
}
