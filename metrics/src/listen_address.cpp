#include "listen_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <optional>

namespace jirapool::metrics {

namespace {

failure bad_form() {
    return failure(errc::invalid_argument, "must be IPv4:PORT, [IPv6]:PORT, localhost:PORT or :PORT")
        .with_field("address");
}

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
    std::uint16_t port = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return port;
}

bool is_ip(int family, std::string const& text) noexcept {
    in6_addr room{};
    return inet_pton(family, text.c_str(), &room) == 1;
}

}  // namespace

std::string listen_address::text() const { return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port); }

result<listen_address> parse_listen_address(std::string_view text) {
    auto const colon = text.rfind(':');
    if (colon == text.npos || text.find('\0') != text.npos) return bad_form();
    auto const port = parse_port(text.substr(colon + 1));
    if (!port) return bad_form();

    listen_address a;
    a.port = *port;
    auto host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        a.is_v6 = true;
        host = host.substr(1, host.size() - 2);
    } else if (host == "localhost") {
        host = "127.0.0.1";
    } else if (host.empty()) {
        host = "0.0.0.0";
    }
    a.host = host;
    if (!is_ip(a.is_v6 ? AF_INET6 : AF_INET, a.host)) return bad_form();
    return a;
}

socket_address to_system(listen_address const& a) noexcept {
    socket_address out;
    if (a.is_v6) {
        auto& to = reinterpret_cast<sockaddr_in6&>(out.storage);
        to.sin6_family = AF_INET6;
        to.sin6_port = htons(a.port);
        inet_pton(AF_INET6, a.host.c_str(), &to.sin6_addr);
        out.size = sizeof to;
    } else {
        auto& to = reinterpret_cast<sockaddr_in&>(out.storage);
        to.sin_family = AF_INET;
        to.sin_port = htons(a.port);
        inet_pton(AF_INET, a.host.c_str(), &to.sin_addr);
        out.size = sizeof to;
    }
    return out;
}

std::uint16_t port_of(int socket) noexcept {
    socket_address at;
    at.size = sizeof at.storage;
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&at.storage), &at.size);
    bool const is_v6 = at.storage.ss_family == AF_INET6;
    return ntohs(is_v6 ? reinterpret_cast<sockaddr_in6 const&>(at.storage).sin6_port
                       : reinterpret_cast<sockaddr_in const&>(at.storage).sin_port);
}

}  // namespace jirapool::metrics
