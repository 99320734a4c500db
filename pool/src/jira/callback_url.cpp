#include "jira/callback_url.hpp"

#include <boost/url/encode.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

namespace jirapool::detail {

namespace {

namespace urls = boost::urls;

constexpr bool is_alphanumeric(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Jira replaces `${project.key}` and its like before it calls. Here each becomes a letter, as no URL has braces; but none in front
/// of the path: where Jira sends what it knows must be written out.
std::string without_variables(std::string_view url) {
    auto const scheme = url.find("//");
    auto at = scheme == url.npos ? url.size() : std::min(url.find_first_of("/?#", scheme + 2), url.size());
    std::string plain(url.substr(0, at));
    while (at < url.size()) {
        auto const rest = url.substr(at);
        auto const end = rest.find('}');
        auto const name = rest.starts_with("${") && end != rest.npos ? rest.substr(2, end - 2) : std::string_view();
        bool const variable = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
            return is_alphanumeric(c) || c == '.' || c == '_';
        });
        plain.push_back(variable ? 'v' : rest.front());
        at += variable ? end + 1 : 1;
    }
    return plain;
}

/// Not Boost.URL's port_number, which knows no 99999 from a 34463.
bool is_port(std::string_view digits) noexcept {
    std::uint16_t port = 0;
    auto const [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return digits.empty() || (ec == std::errc() && end == digits.data() + digits.size() && port > 0);
}

}  // namespace

char const* why_invalid_callback_url(std::string_view text) {
    auto const plain = without_variables(text);
    auto const parsed = urls::parse_uri(plain);
    if (parsed.has_error()) return "must be an absolute https URL, percent-encoded";
    urls::url_view const& url = *parsed;
    if (url.scheme_id() != urls::scheme::https) return "must be an absolute https URL";
    if (!url.has_authority() || url.encoded_host().empty()) return "must be an absolute https URL with a host";
    if (url.has_userinfo()) return "must be an absolute https URL without user info";
    auto const host = url.encoded_host();
    bool const plain_name = std::all_of(host.begin(), host.end(),
                                        [](char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; });
    if (url.host_type() == urls::host_type::name && !plain_name)
        return "must be an absolute https URL whose host has letters, digits, hyphens and dots alone";
    if (url.host_type() == urls::host_type::ipvfuture)
        return "must be an absolute https URL whose host is a name or an IP address";
    // Boost.URL 1.81 ends the host's part at what is no port (":-1", ":x") and takes the rest for a path.
    if (!url.encoded_path().empty() && url.encoded_path().front() != '/')
        return "must be an absolute https URL, with a port that is a number";
    if (!is_port({url.port().data(), url.port().size()}))
        return "must be an absolute https URL whose port is 1 to 65535";
    return nullptr;
}

std::string encoded_segment(std::string_view text) { return urls::encode(text, urls::unreserved_chars); }

}  // namespace jirapool::detail
