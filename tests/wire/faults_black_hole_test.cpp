// A flow that a router in between drops: neither end hears of it. In a network of the test's own, where the machine allows one.
#include "gateway.hpp"
#include "support/figure.hpp"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <cstring>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

constexpr int no_network = 77;

bool set_loopback(bool up) {
    int const s = ::socket(AF_INET, SOCK_DGRAM, 0);
    ifreq r{};
    std::strcpy(r.ifr_name, "lo");
    bool done = ::ioctl(s, SIOCGIFFLAGS, &r) == 0;
    auto const flag = static_cast<short>(IFF_UP);
    r.ifr_flags = static_cast<short>(up ? r.ifr_flags | flag : r.ifr_flags & ~flag);
    done = done && ::ioctl(s, SIOCSIFFLAGS, &r) == 0;
    ::close(s);
    return done;
}

/// What `f` returns, run in a process that has a network to itself; no_network where there is none to be had.
int in_own_network(int (*f)(std::chrono::milliseconds), std::chrono::milliseconds with) {
#ifdef __SANITIZE_THREAD__
    return no_network;  // a process that had threads may not fork and have others there
#endif
    auto const child = ::fork();
    if (child == 0) {
        bool const own = ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
        ::_exit(own && set_loopback(true) ? f(with) : no_network);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// 0: the POST said in good time that Jira may have acted.
int post_into_a_black_hole(std::chrono::milliseconds user_timeout) {
    gateway g({says(sized("{}")), says(sized("{}"))});
    if (user_timeout > 0ms) g.params.wire.tcp_user_timeout = user_timeout;
    runtime jira(1, g.params);
    auto const c = gateway::of(jira);
    if (!call(c, request::get("/rest/api/3/myself").timeout(10s))) return 1;
    if (!set_loopback(false)) return no_network;
    auto const begun = std::chrono::steady_clock::now();
    auto const r = call(c, request::post("/rest/api/3/issue").json("{}").timeout(60s));
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - begun;
    if (user_timeout == 0ms) support::figure("black_hole_post_seconds", took.count());
    std::fflush(stdout);
    set_loopback(true);
    if (r) return 2;
    if (r.error().code() != errc::channel_lost) return 3;
    if (!r.error().maybe_processed()) return 4;
    return took <= (user_timeout > 0ms ? user_timeout + 5s : 15s) ? 0 : 5;
}

void check(std::chrono::milliseconds user_timeout) {
    auto const status = in_own_network(post_into_a_black_hole, user_timeout);
    if (status == no_network) WARN("no network of its own to be had: not tested");
    else CHECK(status == 0);
}

}  // namespace

TEST_CASE("faults: C1 a POST whose flow is dropped ends, and says that Jira may have acted") { check(500ms); }
TEST_CASE("faults: C1 by default it says so in 15 s", "[.][figures]") { check(0ms); }
