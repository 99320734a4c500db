#include <jirapool/core/site.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool {

namespace {

using namespace std::string_view_literals;

constexpr auto cloud_suffix = ".atlassian.net"sv;
constexpr std::size_t max_label_size = 63;  // RFC 1035, section 2.3.4

// <cctype> depends on the locale, and a credential's destination must not.
constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_hex(char c) noexcept { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }
constexpr bool is_label_char(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-'; }
constexpr bool is_visible_ascii(char c) noexcept { return c > 0x20 && c < 0x7f; }

std::string lowered(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

bool is_uuid(std::string_view text) noexcept {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        bool const hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? text[i] != '-' : !is_hex(text[i])) return false;
    }
    return true;
}

// What follows the authority: nothing, or the one slash that browsers put there.
char const* why_invalid_tail(std::string_view tail) noexcept {
    if (tail.empty() || tail == "/") return nullptr;
    switch (tail.front()) {
    case '?': return "must have no query: only https://NAME.atlassian.net";
    case '#': return "must have no fragment: only https://NAME.atlassian.net";
    case '\\': return "must contain no backslash: only https://NAME.atlassian.net";
    default: break;
    }
    if (tail.starts_with("/?")) return "must have no query: only https://NAME.atlassian.net";
    if (tail.starts_with("/#")) return "must have no fragment: only https://NAME.atlassian.net";
    return "must have no path: only https://NAME.atlassian.net";
}

char const* why_invalid_label(std::string_view label) noexcept {
    if (label.empty()) return "must name the site before .atlassian.net: https://NAME.atlassian.net";
    if (label.find('.') != std::string_view::npos) {
        return "must have one name without dots before .atlassian.net: https://NAME.atlassian.net";
    }
    if (label.size() > max_label_size) return "must have a name of at most 63 characters before .atlassian.net";
    if (!std::all_of(label.begin(), label.end(), is_label_char)) {
        return "must have only letters, digits and hyphens before .atlassian.net";
    }
    if (label.starts_with('-') || label.ends_with('-')) return "must have a name without a hyphen at either end";
    if (label.starts_with("xn--")) return "must not be an internationalised name: Jira Cloud sites have none";
    return nullptr;
}

char const* why_invalid_host(std::string_view host) noexcept {
    if (host.find('@') != std::string_view::npos) return "must have no user name or password before the host";
    if (host.find(':') != std::string_view::npos) return "must have no port: only https://NAME.atlassian.net";
    if (host.find('%') != std::string_view::npos) return "must have no percent-encoding in the host";
    if (host.ends_with('.')) return "must not end the host with a dot";
    if (host == cloud_suffix.substr(1)) return "must name the site before .atlassian.net: https://NAME.atlassian.net";
    if (!host.ends_with(cloud_suffix)) {
        return "must be a Jira Cloud site, https://NAME.atlassian.net: "
               "Jira Cloud only, not Data Center, Server or another domain";
    }
    return why_invalid_label(host.substr(0, host.size() - cloud_suffix.size()));
}

char const* why_invalid_characters(std::string_view url) noexcept {
    if (std::all_of(url.begin(), url.end(), is_visible_ascii)) return nullptr;
    if (std::any_of(url.begin(), url.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
        return "must be ASCII: Jira Cloud sites have no internationalised names";
    }
    return "must contain no white space or control character";
}

failure refuse(errc code, char const* field, char const* rule) { return failure(code, rule).with_field(field); }

}  // namespace

result<cloud_id> cloud_id::parse(std::string_view text) {
    if (text.empty()) return refuse(errc::empty_field, "cloud_id", "must not be empty");
    if (!is_uuid(text)) {
        return refuse(errc::invalid_field, "cloud_id",
                      "must be a UUID (8-4-4-4-12 hex digits): see https://NAME.atlassian.net/_edge/tenant_info");
    }
    return cloud_id(lowered(text));
}

result<site_host> site_host::parse_url(std::string_view url) {
    auto const invalid = [](char const* rule) { return refuse(errc::invalid_field, "site_url", rule); };
    constexpr auto scheme = "https://"sv;

    if (url.empty()) return refuse(errc::empty_field, "site_url", "must not be empty");
    if (char const* rule = why_invalid_characters(url)) return invalid(rule);
    if (lowered(url.substr(0, scheme.size())) != scheme) {
        return invalid("must begin with https://: https://NAME.atlassian.net");
    }

    auto const rest = url.substr(scheme.size());
    auto const end = std::min(rest.find_first_of("/?#\\"), rest.size());
    auto host = lowered(rest.substr(0, end));
    if (char const* rule = why_invalid_host(host)) return invalid(rule);
    if (char const* rule = why_invalid_tail(rest.substr(end))) return invalid(rule);
    return site_host(std::move(host));
}

}  // namespace jirapool
