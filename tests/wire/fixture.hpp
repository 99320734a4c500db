#pragma once

#include "support/catch.hpp"

#include <jirapool/core/stats.hpp>
#include <jirapool/mock/server.hpp>
#include <jirapool/pool/runtime.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>

#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool::wire_test {

using namespace std::chrono_literals;
namespace asio = boost::asio;

/// The mock's certificate authority as a file, as a user would name one.
class ca_file {
public:
    explicit ca_file(std::string const& pem)
        : path_("/tmp/jirapool-test-ca-" + std::to_string(::getpid()) + "-" + std::to_string(next_++) + ".pem") {
        std::ofstream(path_) << pem;
    }
    ~ca_file() { std::remove(path_.c_str()); }
    std::string const& path() const noexcept { return path_; }

private:
    static inline int next_ = 0;
    std::string path_;
};

inline mock::params small_world() {
    mock::params p;
    p.sites = 3;
    p.personal = 3;
    p.service = 3;
    p.oauth = 3;
    return p;
}

/// The versions of HTTP that clients of the fixture speak: 1.1, or with JIRAPOOL_TEST_HTTP=2 that one alone, so that one suite holds for
/// both.
inline http_versions http_of_this_run() {
    auto const* const asked = std::getenv("JIRAPOOL_TEST_HTTP");
    return asked != nullptr && std::string_view(asked) == "2" ? http_versions::http2 : http_versions::http1;
}

/// A mock Jira, and the params of a client that reaches it. Host names, SNI and certificates are those of the real thing.
struct fixture {
    explicit fixture(mock::params p = small_world()) : jira(std::move(p)), ca((jira.start(), jira.ca_pem())) {
        params.user_agent = "jirapool-tests/1 (+tests@example.com)";
        params.tls.ca_file = ca.path();
        params.connect_to.push_back({"", "127.0.0.1", jira.port()});
        params.wire.http = http_of_this_run();
    }

    /// A connection of the mock's world, as its owner would configure it; `secret` in place of the right one.
    static connection_config config_of(mock::world const& w, mock::connection_info const& c,
                                       std::optional<std::string> key = {}) {
        secret k(key.value_or(c.secret));
        auto const& site = w.site_of(c);
        switch (c.kind) {
        case mock::connection_kind::personal:
            return make_connection_config(c.id, personal_api_token("https://" + site.host, c.email, std::move(k)))
                .value();
        case mock::connection_kind::service:
            return make_connection_config(c.id, service_api_token(site.cloud_id, std::move(k))).value();
        default: return make_connection_config(c.id, service_oauth(site.cloud_id, c.client_id, std::move(k))).value();
        }
    }
    connection_config config(std::string_view id, std::optional<std::string> key = {}) const {
        return config_of(jira.world(), *jira.world().find(id), std::move(key));
    }

    mock::server jira;
    ca_file ca;
    client_params params;
};

/// The events of a client, which come on its shards' threads.
class event_log {
public:
    explicit event_log(client_params& p) {
        p.on_event = [this](event const& e) {
            std::lock_guard const lock(mutex_);
            events_.push_back(e);
        };
    }
    std::vector<event> all() const {
        std::lock_guard const lock(mutex_);
        return events_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<event> events_;
};

/// One call from a thread that has nothing else to do.
inline result<response> call(connection const& c, request r) {
    return c.async_call(std::move(r), asio::use_future).get();
}

/// Waits for something another thread brings about; bounded, and it fails the test instead of hoping.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = 10s) {
    auto const end = std::chrono::steady_clock::now() + limit;
    asio::io_context io;
    asio::steady_timer timer(io);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        timer.expires_after(2ms);
        timer.wait();
    }
    return true;
}

inline std::uint64_t sum(connections const& c, counter shard_stats::* member) {
    std::uint64_t n = 0;
    for (auto const& s : detail::stats_access::of(c)) n += ((*s).*member).value();
    return n;
}

}  // namespace jirapool::wire_test
