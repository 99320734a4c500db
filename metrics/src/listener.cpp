#include <jirapool/metrics/listener.hpp>

#include "listen_address.hpp"
#include "page_table.hpp"
#include "scrape_server.hpp"
#include "token_file.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace jirapool::metrics {

namespace {

/// An address that stands for all of them is reached by the loopback one.
std::string reachable(listen_address to) {
    if (to.host == "0.0.0.0") to.host = "127.0.0.1";
    if (to.host == "::") to.host = "::1";
    return to.text();
}

/// Null when nothing is wrong.
char const* why_invalid(std::vector<page> const& pages) noexcept {
    for (auto p = pages.begin(); p != pages.end(); ++p) {
        if (!p->path.starts_with('/')) return "must have paths that begin with a slash";
        if (!p->answer) return "must have a function each";
        if (std::any_of(pages.begin(), p, [&](page const& other) { return other.path == p->path; }))
            return "must have each path once";
    }
    return nullptr;
}

}  // namespace

struct listener::server {
    listen_address address;
    std::unique_ptr<scrape_server> http;
};

listener::listener(std::unique_ptr<server> s) noexcept : server_(std::move(s)) {}
listener::~listener() = default;

result<std::unique_ptr<listener>> listener::open(std::string_view address,
                                                 std::shared_ptr<prometheus::Collectable> what,
                                                 listener_params params) {
    if (!what) return failure(errc::invalid_argument, "must not be null").with_field("what");
    return open(address, std::vector{metrics_page(std::move(what))}, std::move(params));
}

result<std::unique_ptr<listener>> listener::open(std::string_view address, std::vector<page> pages,
                                                 listener_params params) {
    auto parsed = parse_listen_address(address);
    if (!parsed) return parsed.error();
    if (auto const* const rule = why_invalid(pages)) return failure(errc::invalid_argument, rule).with_field("pages");
    std::optional<token_file> token;
    if (!params.bearer_token_file.empty()) {
        auto file = token_file::open(std::move(params.bearer_token_file));
        if (!file) return file.error();
        token = std::move(*file);
    }
    auto opened = scrape_server::open(*parsed, page_table(std::move(pages), std::move(token)));
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
