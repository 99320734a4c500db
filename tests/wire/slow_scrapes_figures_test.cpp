// What clients of the metrics' endpoint that are slow, or ask for nonsense, cost the calls beside it: hidden from ctest, tests/figures.sh
// metrics runs it in a Release build.
#include "fixture.hpp"
#include "support/figure.hpp"

#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/listener.hpp>
#include <jirapool/metrics/overview_pages.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using support::figure;

namespace {

using steady = std::chrono::steady_clock;

std::size_t resident_bytes() {
    std::ifstream in("/proc/self/statm");
    std::size_t all = 0;
    std::size_t resident = 0;
    in >> all >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// -1: it is refused.
int connected_to(std::uint16_t port, int type) {
    int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the socket API's own idiom
    if (::connect(fd, reinterpret_cast<sockaddr const*>(&to), sizeof to) == 0 || errno == EINPROGRESS) return fd;
    ::close(fd);
    return -1;
}

/// What a Prometheus gets that asks properly.
std::string scrape(std::uint16_t port) {
    int const fd = connected_to(port, 0);
    std::string_view const request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    (void)::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    std::string all;
    std::array<char, 65536> piece;
    for (ssize_t n = 0; (n = ::recv(fd, piece.data(), piece.size(), 0)) > 0;)
        all.append(piece.data(), static_cast<std::size_t>(n));
    ::close(fd);
    return all;
}

/** A thousand clients of a listener that are slow, on a thread of their own. Who is let go comes again two seconds later. They are there
    while it is told so. */
class slow_clients {
public:
    explicit slow_clients(std::uint16_t port) : port_(port), clients_(1'000), polled_(clients_.size()) {
        huge_ = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Huge: " + std::string(1'000'000, 'x') + "\r\n\r\n";
        thread_ = std::thread([this] { run(); });
    }
    ~slow_clients() {
        tell(over_, true);
        thread_.join();
    }
    slow_clients(slow_clients const&) = delete;
    slow_clients& operator=(slow_clients const&) = delete;

    void come() { tell(here_, true); }
    void go() { tell(here_, false); }
    std::size_t count() const { return count_; }
    std::uint64_t connected() const { return connected_; }
    /// Of the process, the most that was seen.
    std::size_t most_memory() const { return most_memory_; }
    void forget_memory() { most_memory_ = 0; }

private:
    struct client {
        int fd = -1;
        std::size_t sent = 0;
        steady::time_point again{};
    };

    void tell(bool& what, bool is) {
        {
            std::lock_guard const lock(mutex_);
            what = is;
        }
        told_.notify_one();
    }

    /// A turn each 20 ms, and one at once when something is told.
    void run() {
        bool here = false;
        std::unique_lock lock(mutex_);
        while (!over_) {
            here = here_;
            lock.unlock();
            if (here) each_turn(steady::now());
            else leave();
            most_memory_ = std::max(most_memory_.load(), resident_bytes());
            lock.lock();
            told_.wait_for(lock, 20ms, [&] { return over_ || here_ != here; });
        }
        lock.unlock();
        leave();
    }

    void each_turn(steady::time_point now) {
        std::size_t there = 0;
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            auto& c = clients_[i];
            if (c.fd < 0 && now >= c.again) {
                c.fd = connected_to(port_, SOCK_NONBLOCK);
                c.sent = 0;
                ++connected_;
            }
            if (c.fd >= 0) {
                ask(i, c);
                ++there;
            }
            polled_[i] = {c.fd, POLLRDHUP, 0};
        }
        count_ = there;
        ::poll(polled_.data(), polled_.size(), 0);
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            if (polled_[i].revents == 0) continue;
            ::close(std::exchange(clients_[i].fd, -1));
            clients_[i].again = now + 2s;
        }
    }

    // One of five never ends its request, one does so by a byte a turn, one has a header of 1 MB, and two read nothing of what they get.
    void ask(std::size_t i, client& c) const {
        std::string_view const half = "GET /metrics HTTP/1.1\r\nHost: local";
        std::string_view const whole = i % 10 < 5 ? "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                                  : "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
        switch (i % 5) {
        case 0: return send(c, half, half.size());
        case 1: return send(c, std::string_view(huge_).substr(0, 4'000), 1);
        case 2: return send(c, huge_, huge_.size());
        default: return send(c, whole, whole.size());
        }
    }

    static void send(client& c, std::string_view all, std::size_t most) {
        auto const rest = all.substr(c.sent, most);
        if (rest.empty()) return;
        auto const n = ::send(c.fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) c.sent += static_cast<std::size_t>(n);
    }

    void leave() {
        for (auto& c : clients_)
            if (c.fd >= 0) ::close(std::exchange(c.fd, -1));
        for (auto& c : clients_) c.again = {};
        count_ = 0;
    }

    std::uint16_t const port_;
    std::string huge_;
    std::vector<client> clients_;
    std::vector<pollfd> polled_;
    std::mutex mutex_;
    std::condition_variable told_;
    bool here_ = false;
    bool over_ = false;
    std::atomic<std::size_t> count_{0};
    std::atomic<std::uint64_t> connected_{0};
    std::atomic<std::size_t> most_memory_{0};
    std::thread thread_;
};

/// Some calls at a time, without an end, whose durations are kept by their sort.
class busy_calls {
public:
    busy_calls(std::vector<connection> all, std::size_t at_once) : all_(std::move(all)), left_(at_once) {
        for (std::size_t i = 0; i < at_once; ++i) one();
    }
    void end() {
        over_ = true;
        ended_.get_future().wait();
    }
    static constexpr std::size_t warm_up = 2;
    /// Those that begin from now on are of this sort, 0 or 1. The first ones are the warm-up.
    void are(std::size_t sort) { sort_ = sort; }
    double p99_ms(std::size_t sort) {
        std::lock_guard const lock(mutex_);
        auto& d = took_[sort];
        REQUIRE(d.size() > 1'000);
        auto const at = d.begin() + static_cast<std::ptrdiff_t>(d.size() * 99 / 100);
        std::nth_element(d.begin(), at, d.end());
        return *at;
    }
    std::uint64_t failed() const { return failed_; }

private:
    void one() {
        auto const began = steady::now();
        auto const sort = sort_.load();
        all_[next_++ % all_.size()].async_call(
            request::get("/rest/api/3/issue/PROJ-1").timeout(60s), [this, began, sort](result<response> const& r) {
                auto const ms = std::chrono::duration<double, std::milli>(steady::now() - began).count();
                if (!r || r->status() != 200) ++failed_;
                {
                    std::lock_guard const lock(mutex_);
                    took_[sort].push_back(ms);
                }
                if (!over_) one();
                else if (--left_ == 0) ended_.set_value();
            });
    }

    std::vector<connection> const all_;
    std::atomic<std::size_t> next_{0};
    std::atomic<std::size_t> sort_{warm_up};
    std::atomic<bool> over_{false};
    std::atomic<std::size_t> left_;
    std::atomic<std::uint64_t> failed_{0};
    std::promise<void> ended_;
    std::mutex mutex_;
    std::array<std::vector<double>, 3> took_;
};

}  // namespace

TEST_CASE("metrics figures: a thousand slow clients of the endpoint cost calls no time, and bounded memory",
          "[.figures]") {
    mock::params world;
    world.sites = world.personal = world.service = world.oauth = 60;
    world.burst_scale = 100;
    world.faulty.latency = 30ms;
    world.faulty.latency_jitter = 60ms;
    fixture f(world);
    runtime jira(1, f.params);
    std::vector<connection> all;
    for (auto const& c : f.jira.world().connections()) all.push_back(jira.add(f.config(c.id)).value());

    auto const view = jira.overview();
    std::string const large(4'000'000, 'x');
    auto const listener = metrics::listener::open("127.0.0.1:0",
                                                  {metrics::metrics_page(std::make_shared<metrics::collector>(view)),
                                                   metrics::connections_page(view),
                                                   {"/large",
                                                    [&](metrics::page_request const&) {
                                                        return metrics::page_answer{.status = 200, .body = large};
                                                    }}})
                              .value();
    slow_clients slow(listener->port());
    busy_calls calls(all, 30);
    auto const wait_for = [](std::chrono::milliseconds time) {
        auto const until = steady::now() + time;
        (void)eventually([&] { return steady::now() >= until; }, time + 10s);
    };
    wait_for(3s);  // tokens and channels
    slow.forget_memory();
    wait_for(2s);
    auto const before = slow.most_memory();

    constexpr int pairs = 8;
    for (int i = 0; i < 2 * pairs; ++i) {
        bool const attacked = i % 4 == 1 || i % 4 == 2;  // whatever drifts counts for both alike
        if (attacked) slow.come();
        else slow.go();
        calls.are(attacked ? 1 : 0);
        wait_for(2s);
        if (!attacked) continue;
        CHECK(slow.count() > 100);
        CHECK(scrape(listener->port()).find("jirapool_build_info{") != std::string::npos);
    }
    auto const grown = slow.most_memory() - std::min(before, slow.most_memory());
    calls.end();
    CHECK(calls.failed() == 0);
    CHECK(slow.connected() >= 1'000);
    figure("metrics_slow_clients_p99_ms", calls.p99_ms(1));
    figure("metrics_slow_clients_p99_ms_without", calls.p99_ms(0));
    figure("metrics_slow_clients_p99_ratio", calls.p99_ms(1) / calls.p99_ms(0));
    figure("metrics_slow_clients_memory_bytes", static_cast<double>(grown));
    figure("metrics_slow_clients_connected", static_cast<double>(slow.connected()));
}
