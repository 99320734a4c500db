#include <jirapool/tools/endpoint.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace jirapool::tools {
namespace {

bool is_ip(int family, std::string const& text) noexcept {
    unsigned char bytes[sizeof(in6_addr)];
    return ::inet_pton(family, text.c_str(), bytes) == 1;
}

failure refuse(char const* rule) { return failure(errc::invalid_argument, rule); }

constexpr char const* endpoint_rule = "must be ADDR:PORT with an IP address, in brackets if it is IPv6";

}  // namespace

result<endpoint> parse_endpoint(std::string_view text) {
    auto const colon = text.rfind(':');
    if (colon == std::string_view::npos) return refuse(endpoint_rule);
    auto const digits = text.substr(colon + 1);
    endpoint e;
    auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), e.port);
    if (error != std::errc{} || end != digits.data() + digits.size()) return refuse("the port must be 0 to 65535");
    auto address = text.substr(0, colon);
    bool const bracketed = address.size() > 2 && address.front() == '[' && address.back() == ']';
    if (bracketed) address = address.substr(1, address.size() - 2);
    e.address = address;
    if (!is_ip(bracketed ? AF_INET6 : AF_INET, e.address)) return refuse(endpoint_rule);
    return e;
}

result<address_override> parse_connect_to(std::string_view text) {
    constexpr char const* rule = "must be [HOST:]ADDR:PORT with an IP address, in brackets if it is IPv6";
    auto const port_colon = text.rfind(':');
    if (port_colon == std::string_view::npos) return refuse(rule);
    auto const before_port = text.substr(0, port_colon);
    // The colon that ends HOST stands before the address, never inside of its brackets.
    auto const bracket = before_port.find('[');
    auto const host_colon = before_port.substr(0, bracket).rfind(':');
    address_override o;
    auto rest = text;
    if (host_colon != std::string_view::npos) {
        auto const host = text.substr(0, host_colon);
        auto const fits_host = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        };
        if (host.empty() || !std::all_of(host.begin(), host.end(), fits_host)) return refuse(rule);
        o.host = host;
        for (char& c : o.host)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        rest = text.substr(host_colon + 1);
    }
    auto e = parse_endpoint(rest);
    if (!e) return refuse(rule);
    if (e->port == 0) return refuse("the port must be 1 to 65535");
    o.address = std::move(e->address);
    o.port = e->port;
    return o;
}

}  // namespace jirapool::tools
