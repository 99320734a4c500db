#pragma once

#include "fixture.hpp"
#include "tls_server.hpp"

#include "wait/timer_alarm.hpp"
#include "wire/dialer.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace jirapool::wire_test {

inline constexpr char const* test_host = "site.atlassian.net";

/// An authority and a good certificate for `test_host`, made once.
inline identity const& test_authority() {
    static identity const ca = make_certificate({.name = "wire tests' CA", .authority = true});
    return ca;
}
inline identity const& test_identity() {
    static identity const leaf = make_certificate({.name = "leaf", .alt_names = std::string("DNS:") + test_host},
                                                  &test_authority());
    return leaf;
}

/// The same for the gateway of service accounts.
inline identity const& gateway_identity() {
    static identity const leaf = make_certificate({.name = "leaf", .alt_names = "DNS:api.atlassian.com"},
                                                  &test_authority());
    return leaf;
}

/// The dialer and the channels by themselves, without a call around them.
class wire_client {
public:
    explicit wire_client(std::uint16_t port) : ca_(test_authority().pem()) {
        params.tls.ca_file = ca_.path();
        params.connect_to.push_back({"", "127.0.0.1", port});
    }

    using make_resolver = std::function<std::unique_ptr<detail::name_resolver>(asio::any_io_executor, detail::timers&)>;

    /// Through a resolver, to wherever it says.
    explicit wire_client(make_resolver make_names) : ca_(test_authority().pem()), make_names_(std::move(make_names)) {
        params.tls.ca_file = ca_.path();
    }

    /// Its effects end where the params are first used.
    client_params params;

    detail::dial_result dial(std::string const& host = test_host) {
        start();
        return run(dialer_->dial(host));
    }

    void forget(std::string const& host) { dialer_->forget(host); }

    std::unique_ptr<detail::timed_socket> connect(detail::tls_dialer::endpoints to) {
        start();
        detail::dial_result result;
        return run(dialer_->connect(std::move(to), &result));
    }

    detail::exchange_report exchange(detail::channel& c, response& out, method m = method::get,
                                     std::chrono::milliseconds limit = std::chrono::seconds(20),
                                     std::string_view body = {}, bool secret_answer = false) {
        detail::exchange_input in;
        in.method = m;
        in.target = "/rest/api/3/myself";
        in.host = "site.atlassian.net";
        in.body = body;
        in.secret_answer = secret_answer;
        in.deadline = timers_->now() + limit;
        return run(c.exchange(&in, &out));
    }

protected:
    void start() {
        if (dialer_) return;
        auto const p = std::make_shared<client_params const>(params);
        auto const context = std::make_shared<detail::tls_context const>(p->tls);
        timers_.emplace(detail::system_clock(), detail::make_timer_alarm(io_.get_executor()));
        dialer_.emplace(io_.get_executor(), *timers_, context, p,
                        make_names_ ? make_names_(io_.get_executor(), *timers_) : nullptr);
    }

    template <class T>
    T run(asio::awaitable<T> what) {
        std::optional<T> got;
        asio::co_spawn(io_, std::move(what), [&](std::exception_ptr e, T r) {
            if (e) std::rethrow_exception(e);
            got.emplace(std::move(r));
        });
        while (!got) {
            io_.restart();
            io_.run_one();
        }
        return std::move(*got);
    }

    ca_file ca_;
    make_resolver make_names_;
    asio::io_context io_;
    std::optional<detail::timers> timers_;
    std::optional<detail::tls_dialer> dialer_;
};

}  // namespace jirapool::wire_test
