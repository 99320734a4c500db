#include "admin_fields.hpp"

#include "text.hpp"

#include <jirapool/mock/world.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace jirapool::mock {

admin_fields::admin_fields(std::string_view query, std::initializer_list<std::string_view> names) : query_(query) {
    std::vector<std::string> seen;
    while (!query.empty()) {
        std::string_view const field = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), field.size() + 1));
        std::string_view const as_sent = field.substr(0, field.find('='));
        std::string name = percent_decode(as_sent, true);
        // Named as it was sent, so that the line stays one; and cut, as anything can stand there.
        std::string_view const shown = as_sent.substr(0, 40);
        if (std::find(names.begin(), names.end(), name) == names.end()) {
            refuse(shown, "there is no such field here");
        } else if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
            refuse(shown, "it is there twice");
        }
        seen.push_back(std::move(name));
    }
}

std::optional<std::string> admin_fields::text(std::string_view name) const { return form_field(query_, name); }

std::optional<double> admin_fields::number(std::string_view name, double most) {
    auto const value = text(name);
    if (!value) return std::nullopt;
    char* end = nullptr;
    double const number = std::strtod(value->c_str(), &end);
    // NaN fails the comparison too.
    if (!value->empty() && end == value->c_str() + value->size() && number >= 0 && number <= most) return number;
    refuse(name, fmt::format("must be a number from 0 to {}", most));
    return std::nullopt;
}

std::optional<std::uint64_t> admin_fields::whole(std::string_view name, std::uint64_t least, std::uint64_t most) {
    auto const value = text(name);
    if (!value) return std::nullopt;
    auto const number = to_number(*value);
    if (number && *number >= least && *number <= most) return number;
    refuse(name, fmt::format("must be a whole number from {} to {}", least, most));
    return std::nullopt;
}

std::optional<std::size_t> admin_fields::site(std::string_view name, world const& w) {
    auto const host = text(name);
    if (!host) return std::nullopt;
    auto const index = w.site_by_host(*host);
    if (!index) refuse(name, fmt::format("must be a site's host, as {}", w.sites().front().host));
    return index;
}

std::optional<std::size_t> admin_fields::connection(std::string_view name, world const& w) {
    auto const id = text(name);
    if (!id) return std::nullopt;
    connection_info const* const found = w.find(*id);
    if (found) return static_cast<std::size_t>(found - w.connections().data());
    refuse(name, "must be a connection's id, as GET /connections lists them");
    return std::nullopt;
}

void admin_fields::refuse(std::string_view name, std::string_view rule) {
    if (problem_.empty()) problem_ = fmt::format("{}: {}", name, rule);
}

}  // namespace jirapool::mock
