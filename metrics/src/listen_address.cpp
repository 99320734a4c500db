#include "listen_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>

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

namespace {

struct socket_address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

socket_address to_system(listen_address const& a) {
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

}  // namespace

std::string why_not_bindable(listen_address const& a) {
    int const fd = ::socket(a.is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::generic_category().message(errno);
    int const on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    auto const to = to_system(a);
    int done = ::bind(fd, reinterpret_cast<sockaddr const*>(&to.storage), to.size);
    if (done == 0) done = ::listen(fd, 1);
    std::string why = done == 0 ? "" : std::generic_category().message(errno);
    ::close(fd);
    return why;
}

bool knock(listen_address const& a) noexcept {
    int const fd = ::socket(a.is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    auto const to = to_system(a);
    int const done = ::connect(fd, reinterpret_cast<sockaddr const*>(&to.storage), to.size);
    bool const begun = done == 0 || errno == EINPROGRESS;
    ::close(fd);
    return begun;
}

}  // namespace jirapool::metrics
