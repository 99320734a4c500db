#include "events/receiver_url.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <charconv>
#include <system_error>

namespace jirapool::detail {

namespace urls = boost::urls;

namespace {

constexpr std::uint16_t https_port = 443;

/// 0: there is none such. Not Boost.URL's port_number, which knows no 99999 from a 34463.
std::uint16_t port_of(urls::url_view const& url) noexcept {
    auto const digits = url.port();
    if (digits.empty()) return https_port;
    std::uint16_t port = 0;
    auto const [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return ec == std::errc() && end == digits.data() + digits.size() ? port : std::uint16_t{0};
}

bool is_plain(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

}  // namespace

char const* why_invalid_receiver_url(std::string_view text) {
    auto const parsed = urls::parse_uri(text);
    if (parsed.has_error()) return "event_webhook_params::url must be an absolute https URL, percent-encoded";
    urls::url_view const& url = *parsed;
    if (url.scheme_id() != urls::scheme::https) return "event_webhook_params::url must be an https URL";
    auto const host = url.encoded_host();
    if (!url.has_authority() || host.empty()) return "event_webhook_params::url must have a host";
    if (url.has_userinfo()) return "event_webhook_params::url must have no user info: deliveries are signed";
    if (url.has_fragment()) return "event_webhook_params::url must have no fragment, which no receiver sees";
    if (url.host_type() == urls::host_type::ipvfuture ||
        (url.host_type() == urls::host_type::name && !std::all_of(host.begin(), host.end(), is_plain)))
        return "event_webhook_params::url must have a host of letters, digits, hyphens and dots, or an IP address";
    // Boost.URL 1.81 ends the host's part at what is no port (":-1", ":x") and takes the rest for a path.
    if (!url.encoded_path().empty() && url.encoded_path().front() != '/')
        return "event_webhook_params::url must have a port that is a number, or none";
    if (port_of(url) == 0) return "event_webhook_params::url must have a port of 1 to 65535, or none";
    return nullptr;
}

receiver_url::receiver_url(std::string_view text) {
    auto const parsed = urls::parse_uri(text);
    urls::url_view const& url = *parsed;
    auto const given = url.encoded_host();
    host.assign(given.data(), given.size());
    std::transform(host.begin(), host.end(), host.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    name = host.front() == '[' ? host.substr(1, host.size() - 2) : host;
    port = port_of(url);
    if (port != https_port) host.append(":").append(std::to_string(port));
    auto const path = url.encoded_path();
    target.assign(path.data(), path.size());
    if (target.empty()) target = "/";
    if (url.has_query()) {
        auto const query = url.encoded_query();
        target.append("?").append(query.data(), query.size());
    }
}

}  // namespace jirapool::detail
