#include <jirapool/metrics/listener.hpp>

#include "listen_address.hpp"
#include "scrape_server.hpp"

#include <string>
#include <utility>

namespace jirapool::metrics {

namespace {

/// An address that stands for all of them is reached by the loopback one.
std::string reachable(listen_address to) {
    if (to.host == "0.0.0.0") to.host = "127.0.0.1";
    if (to.host == "::") to.host = "::1";
    return to.text();
}

}  // namespace

struct listener::server {
    listen_address address;
    std::unique_ptr<scrape_server> http;
};

listener::listener(std::unique_ptr<server> s) noexcept : server_(std::move(s)) {}
listener::~listener() = default;

result<std::unique_ptr<listener>> listener::open(std::string_view address,
                                                 std::shared_ptr<prometheus::Collectable> what) {
    auto parsed = parse_listen_address(address);
    if (!parsed) return parsed.error();
    if (!what) return failure(errc::invalid_argument, "must not be null").with_field("what");
    auto opened = scrape_server::open(*parsed, std::move(what));
    if (!opened)
        return failure(errc::invalid_argument, "cannot be listened on: " + opened.error().rule()).with_field("address");
    auto s = std::make_unique<server>();
    s->address = std::move(*parsed);
    s->http = std::move(*opened);
    s->address.port = s->http->port();
    return std::unique_ptr<listener>(new listener(std::move(s)));
}

unsigned short listener::port() const noexcept { return server_->address.port; }

std::string listener::url() const { return "http://" + reachable(server_->address) + "/metrics"; }

}  // namespace jirapool::metrics
