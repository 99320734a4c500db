#include <jirapool/pool/params.hpp>

#include <jirapool/core/site.hpp>

#include <jirapool/core/error.hpp>

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <string_view>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool header_safe(std::string_view text) noexcept { return std::none_of(text.begin(), text.end(), is_control); }

char const* why_invalid(pool_params const& p) noexcept {
    if (p.max_channels < 1) return "pool_params::max_channels must be at least 1";
    if (p.max_dialing < 1) return "pool_params::max_dialing must be at least 1";
    if (p.max_queue < 1) return "pool_params::max_queue must be at least 1: who waits for a dial stands in it";
    if (!(p.max_share_of_site > 0 && p.max_share_of_site <= 1))
        return "pool_params::max_share_of_site must be above 0 and at most 1";
    if (p.min_idle > p.max_channels) return "pool_params::min_idle must be at most max_channels";
    if (!(p.background_dials_per_second > 0)) return "pool_params::background_dials_per_second must be greater than 0";
    if (p.dial_backoff <= 0ms) return "pool_params::dial_backoff must be greater than 0";
    if (p.dial_backoff_max < p.dial_backoff) return "pool_params::dial_backoff_max must be at least dial_backoff";
    if (p.idle_timeout <= 0ms) return "pool_params::idle_timeout must be greater than 0";
    if (p.max_lifetime <= 0ms) return "pool_params::max_lifetime must be greater than 0";
    return nullptr;
}

char const* why_invalid(wire_params const& p) noexcept {
    if (p.resolve_timeout <= 0ms) return "wire_params::resolve_timeout must be greater than 0";
    if (p.stale_addresses < 0ms) return "wire_params::stale_addresses must be at least 0";
    if (p.connect_timeout <= 0ms) return "wire_params::connect_timeout must be greater than 0";
    if (p.attempt_delay < 10ms) return "wire_params::attempt_delay must be at least 10 ms (RFC 8305, section 5)";
    if (p.tcp_keep_alive_idle < 0s || p.tcp_keep_alive_idle > 32'767s)
        return "wire_params::tcp_keep_alive_idle must be 0 to 32767 s";
    if (p.tcp_keep_alive_interval < 1s || p.tcp_keep_alive_interval > 32'767s)
        return "wire_params::tcp_keep_alive_interval must be 1 to 32767 s";
    if (p.tcp_keep_alive_probes < 1 || p.tcp_keep_alive_probes > 127)
        return "wire_params::tcp_keep_alive_probes must be 1 to 127";
    if (p.tcp_user_timeout < 0ms || p.tcp_user_timeout > 2'147'483'647ms)
        return "wire_params::tcp_user_timeout must be 0 to 2147483647 ms";
    if (p.tls_timeout <= 0ms) return "wire_params::tls_timeout must be greater than 0";
    if (p.write_timeout <= 0ms) return "wire_params::write_timeout must be greater than 0";
    if (p.first_byte_timeout <= 0ms) return "wire_params::first_byte_timeout must be greater than 0";
    if (p.body_timeout <= 0ms) return "wire_params::body_timeout must be greater than 0";
    if (p.min_rate_window <= 0ms) return "wire_params::min_rate_window must be greater than 0";
    if (p.max_head < 1024 || p.max_head > 1u << 20) return "wire_params::max_head must be 1024 to 1048576";
    if (p.max_headers < 1) return "wire_params::max_headers must be at least 1";
    if (p.max_body < 1024) return "wire_params::max_body must be at least 1024";
    if (p.max_ratio < 1) return "wire_params::max_ratio must be at least 1";
    constexpr std::uint32_t largest = 0x7fff'ffff;
    if (p.http > http_versions::http2) return "wire_params::http must be one of http_versions";
    if (p.max_streams < 1 || p.max_streams > largest) return "wire_params::max_streams must be 1 to 2147483647";
    if (p.stream_window < 64u << 10 || p.stream_window > largest)
        return "wire_params::stream_window must be 65536 to 2147483647";
    if (p.channel_window < p.stream_window || p.channel_window > largest)
        return "wire_params::channel_window must be at least stream_window and at most 2147483647";
    return nullptr;
}

char const* why_invalid(std::vector<address_override> const& overrides) noexcept {
    for (auto const& o : overrides) {
        error_code ec;
        boost::asio::ip::make_address(o.address, ec);
        if (ec) return "address_override::address must be an IP address";
        if (o.port == 0) return "address_override::port must not be 0";
    }
    return nullptr;
}

}  // namespace

char const* why_invalid(client_params const& p) noexcept {
    if (p.overview.max_sites > 4'096) return "overview_params::max_sites must be at most 4096";
    if (p.overview.sites.size() > p.overview.max_sites)
        return "overview_params::sites must not hold more than overview_params::max_sites";
    for (auto const& s : p.overview.sites) {
        auto const id = cloud_id::parse(s);
        auto const host = site_host::parse_url("https://" + s);
        if (!(id && id->str() == s) && !(host && host->str() == s))
            return "overview_params::sites must hold cloud IDs and hosts such as acme.atlassian.net, in lower case";
    }
    if (p.overview.max_connections > 100'000) return "overview_params::max_connections must be at most 100000";
    if (p.user_agent.empty()) return "client_params::user_agent must not be empty";
    if (!header_safe(p.user_agent)) return "client_params::user_agent must not hold control characters";
    if (p.user_agent.find("Mozilla/") != std::string::npos)
        return "client_params::user_agent must not look like a browser's: Jira refuses writes from those (XSRF)";
    if (auto const* const rule = why_invalid(p.pool)) return rule;
    if (auto const* const rule = why_invalid(p.wire)) return rule;
    if (p.health.verify_every < 60s) return "health_params::verify_every must be at least a minute";
    if (auto const* const rule = why_invalid(p.connect_to)) return rule;
    if (auto const* const rule = why_invalid(p.limits)) return rule;
    if (auto const* const rule = why_invalid(p.tokens)) return rule;
    return why_invalid(p.retries);
}

}  // namespace jirapool
