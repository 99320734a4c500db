#include <jirapool/metrics/listener.hpp>

#include "listen_address.hpp"

#include <prometheus/exposer.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace jirapool::metrics {

namespace {

std::vector<std::string> civetweb_options(listen_address const& a) {
    // Two threads: one scrape, and one more while a client is slow. A client has 5000 ms to send its request; with
    // civetweb's own 30 s two silent ones would keep Prometheus out for longer than a usual scrape interval.
    return {"listening_ports", a.text(), "num_threads", "2", "request_timeout_ms", "5000"};
}

/// An address that stands for all of them is reached by the loopback one.
std::string reachable(listen_address const& a) {
    listen_address to = a;
    if (to.host == "0.0.0.0") to.host = "127.0.0.1";
    if (to.host == "::") to.host = "::1";
    return to.text();
}

}  // namespace

struct listener::server {
    server(listen_address a, std::shared_ptr<prometheus::Collectable> w)
        : address(std::move(a)), what(std::move(w)), exposer(std::in_place, civetweb_options(address)) {
        address.port = static_cast<std::uint16_t>(exposer->GetListeningPorts().at(0));
        exposer->RegisterCollectable(what);
    }

    ~server() {
        // civetweb's thread waits for connections up to 2 s before it sees that it shall end.
        std::jthread const knocker([this](std::stop_token ended) {
            std::mutex mutex;
            std::unique_lock lock(mutex);
            std::condition_variable_any between;
            while (!ended.stop_requested()) {
                knock(address);
                between.wait_for(lock, ended, std::chrono::milliseconds(20), [] { return false; });
            }
        });
        exposer.reset();
    }
    server(server const&) = delete;
    server& operator=(server const&) = delete;

    listen_address address;
    // Before exposer, which has only a weak pointer to it and whose threads must end first.
    std::shared_ptr<prometheus::Collectable> what;
    std::optional<prometheus::Exposer> exposer;
};

listener::listener(std::unique_ptr<server> s) noexcept : server_(std::move(s)) {}
listener::~listener() = default;

result<std::unique_ptr<listener>> listener::open(std::string_view address,
                                                 std::shared_ptr<prometheus::Collectable> what) {
    auto const parsed = parse_listen_address(address);
    if (!parsed) return parsed.error();
    if (!what) return failure(errc::invalid_argument, "must not be null").with_field("what");
    try {
        return std::unique_ptr<listener>(new listener(std::make_unique<server>(*parsed, std::move(what))));
    } catch (std::exception const& e) {
        // civetweb says only that it did not start.
        std::string why = why_not_bindable(*parsed);
        if (why.empty()) why = e.what();
        return failure(errc::invalid_argument, "cannot be listened on: " + why).with_field("address");
    }
}

unsigned short listener::port() const noexcept { return server_->address.port; }

std::string listener::url() const { return "http://" + reachable(server_->address) + "/metrics"; }

}  // namespace jirapool::metrics
