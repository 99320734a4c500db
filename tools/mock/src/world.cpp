#include <jirapool/mock/params.hpp>
#include <jirapool/mock/world.hpp>

#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace jirapool::mock {
namespace {

constexpr std::string_view alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view upper_hex = "0123456789ABCDEF";

// One stream of randomness for each thing made, so that a connection's secret does not depend on how many others exist.
generator stream(std::uint64_t seed, std::uint64_t what, std::uint64_t index) {
    return generator(mix(mix(seed) ^ mix(what << 32 | index)));
}

connection_info make_connection(std::uint64_t seed, connection_kind kind, std::size_t index, std::size_t first_site,
                                std::size_t sites) {
    generator random = stream(seed, 2 + static_cast<std::uint64_t>(kind), index);
    connection_info c;
    c.id = fmt::format("{}-{:04}", to_string(kind), index + 1);
    c.kind = kind;
    c.site = (first_site + index) % sites;
    c.account_id = fmt::format("712020:{}", random.uuid());
    switch (kind) {
    case connection_kind::personal:
        c.email = fmt::format("user-{}-{:04}@example.com", random.word(5, "abcdefghijkmnpqrstuvwxyz"), index + 1);
        c.secret = "ATATT3x" + random.word(176, url_alphabet) + '=' + random.word(8, upper_hex);
        break;
    case connection_kind::service:
        c.secret = "ATSTT3x" + random.word(176, url_alphabet) + '=' + random.word(8, upper_hex);
        break;
    case connection_kind::oauth:
        c.client_id = random.word(32, alphanumeric);
        c.secret = "ATOA" + random.word(60, url_alphabet) + random.word(8, upper_hex);
        break;
    }
    return c;
}

}  // namespace

char const* to_string(connection_kind k) noexcept {
    switch (k) {
    case connection_kind::personal: return "personal";
    case connection_kind::service: return "service";
    case connection_kind::oauth: return "oauth";
    }
    return "?";
}

world::world(params const& p) {
    sites_.reserve(p.sites);
    for (std::size_t i = 0; i < p.sites; ++i) {
        site_info site;
        site.host = fmt::format("site-{:04}.atlassian.net", i + 1);
        site.cloud_id = stream(p.seed, 1, i).uuid();
        sites_.push_back(std::move(site));
    }
    by_cloud_id_.reserve(p.sites);
    for (std::size_t i = 0; i < p.sites; ++i) by_cloud_id_.emplace(sites_[i].cloud_id, i);

    connections_.reserve(p.personal + p.service + p.oauth);
    auto const add = [&](connection_kind kind, std::size_t count, std::size_t first_site) {
        for (std::size_t i = 0; i < count; ++i) {
            connections_.push_back(make_connection(p.seed, kind, i, first_site, p.sites));
        }
    };
    add(connection_kind::personal, p.personal, 0);
    add(connection_kind::service, p.service, p.sites / 3);
    add(connection_kind::oauth, p.oauth, 2 * p.sites / 3);
}

connection_info const* world::find(std::string_view id) const noexcept {
    auto const it = std::find_if(connections_.begin(), connections_.end(),
                                 [id](connection_info const& c) { return c.id == id; });
    return it == connections_.end() ? nullptr : &*it;
}

std::optional<std::size_t> world::site_by_host(std::string_view host) const noexcept {
    constexpr std::string_view prefix = "site-";
    if (!host.starts_with(prefix)) return std::nullopt;
    std::string_view const rest = host.substr(prefix.size());
    auto const number = to_number(rest.substr(0, rest.find('.')));
    if (!number || *number < 1 || *number > sites_.size() || sites_[*number - 1].host != host) return std::nullopt;
    return *number - 1;
}

std::optional<std::size_t> world::site_by_cloud_id(std::string_view cloud_id) const noexcept {
    auto const it = by_cloud_id_.find(cloud_id);
    if (it == by_cloud_id_.end()) return std::nullopt;
    return it->second;
}

std::string world::connections_json() const {
    // Nothing that the world makes needs escaping.
    std::string out = "{\"connections\":[";
    for (connection_info const& c : connections_) {
        out += &c == connections_.data() ? "\n" : ",\n";
        auto const to = std::back_inserter(out);
        switch (c.kind) {
        case connection_kind::personal:
            fmt::format_to(to, R"({{"id":"{}","site_url":"https://{}","email":"{}","apiKey":"{}"}})", c.id,
                           sites_[c.site].host, c.email, c.secret);
            break;
        case connection_kind::service:
            fmt::format_to(to, R"({{"id":"{}","cloud_id":"{}","apiKey":"{}"}})", c.id, sites_[c.site].cloud_id,
                           c.secret);
            break;
        case connection_kind::oauth:
            fmt::format_to(to, R"({{"id":"{}","cloud_id":"{}","client_id":"{}","clientSecret":"{}"}})", c.id,
                           sites_[c.site].cloud_id, c.client_id, c.secret);
            break;
        }
    }
    out += "\n]}\n";
    return out;
}

}  // namespace jirapool::mock
