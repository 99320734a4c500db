#include <jirapool/tools/http_get.hpp>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

namespace jirapool::tools {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t max_answer = 16u << 20;

class socket_handle {
public:
    explicit socket_handle(int fd) noexcept : fd_(fd) {}
    socket_handle(socket_handle const&) = delete;
    socket_handle& operator=(socket_handle const&) = delete;
    ~socket_handle() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

failure system_failure(errc code) { return failure(code, std::strerror(errno)); }

bool wait_for(int fd, short events, clock::time_point deadline) {
    for (;;) {
        auto const left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
        if (left <= 0) return false;
        pollfd p{fd, events, 0};
        int const n = ::poll(&p, 1, static_cast<int>(std::min<long long>(left, 1000)));
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return true;  // the call that follows says what is wrong
    }
}

/// Takes the body of a whole answer. An admin server closes the channel after it, or says how long the body is.
result<std::string> body_of(std::string answer) {
    auto const head_end = answer.find("\r\n\r\n");
    if (head_end == std::string::npos || answer.compare(0, 5, "HTTP/") != 0)
        return failure(errc::protocol_error, "the answer is not HTTP");
    auto const space = answer.find(' ');
    if (answer.compare(space, 4, " 200") != 0)
        return failure(errc::protocol_error,
                       "the answer is not 200: " + answer.substr(0, std::min(answer.find('\r'), std::size_t{80})));
    answer.erase(0, head_end + 4);
    return answer;
}

/// The whole answer's size when its head is there and names the body's.
std::size_t announced_size(std::string const& answer) {
    auto const head_end = answer.find("\r\n\r\n");
    if (head_end == std::string::npos) return std::string::npos;
    std::string head = answer.substr(0, head_end + 2);
    std::transform(head.begin(), head.end(), head.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    constexpr std::string_view name = "\r\ncontent-length:";
    auto at = head.find(name);
    if (at == std::string::npos) return std::string::npos;
    at = head.find_first_not_of(' ', at + name.size());
    std::size_t length = 0;
    if (std::from_chars(head.data() + at, head.data() + head.size(), length).ec != std::errc{})
        return std::string::npos;
    return length > max_answer ? std::string::npos : head_end + 4 + length;
}

result<void> send_all(int fd, std::string_view data, clock::time_point deadline) {
    while (!data.empty()) {
        auto const n = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
        if (n >= 0) data.remove_prefix(static_cast<std::size_t>(n));
        else if (errno == EAGAIN || errno == EINTR) {
            if (!wait_for(fd, POLLOUT, deadline)) return failure(errc::timeout);
        } else return system_failure(errc::channel_lost);
    }
    return {};
}

}  // namespace

result<std::string> http_get(endpoint const& at, std::string const& target, std::chrono::milliseconds timeout,
                             secret const& bearer) {
    auto const deadline = clock::now() + timeout;
    bool const v6 = at.address.find(':') != std::string::npos;
    sockaddr_storage to{};
    socklen_t size = 0;
    if (v6) {
        auto& a = reinterpret_cast<sockaddr_in6&>(to);
        a.sin6_family = AF_INET6;
        a.sin6_port = htons(at.port);
        ::inet_pton(AF_INET6, at.address.c_str(), &a.sin6_addr);
        size = sizeof a;
    } else {
        auto& a = reinterpret_cast<sockaddr_in&>(to);
        a.sin_family = AF_INET;
        a.sin_port = htons(at.port);
        ::inet_pton(AF_INET, at.address.c_str(), &a.sin_addr);
        size = sizeof a;
    }
    socket_handle const s(::socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (s.get() < 0) return system_failure(errc::connect_failed);
    if (::connect(s.get(), reinterpret_cast<sockaddr const*>(&to), size) != 0) {
        if (errno != EINPROGRESS) return system_failure(errc::connect_failed);
        if (!wait_for(s.get(), POLLOUT, deadline)) return failure(errc::timeout);
        int error = 0;
        socklen_t length = sizeof error;
        if (::getsockopt(s.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
        if (error != 0) return failure(errc::connect_failed, std::strerror(error));
    }

    std::string const host = (v6 ? '[' + at.address + ']' : at.address) + ':' + std::to_string(at.port);
    std::string request = "GET " + target + " HTTP/1.0\r\nHost: " + host + "\r\nConnection: close\r\n";
    if (!bearer.empty()) {
        constexpr std::string_view field = "Authorization: Bearer ";
        // At once: a string that grows would leave the token behind in the memory that it gave up.
        request.reserve(request.size() + field.size() + bearer.reveal().size() + 4);
        request.append(field).append(bearer.reveal()).append("\r\n");
    }
    request.append("\r\n");
    auto const sent = send_all(s.get(), request, deadline);
    wipe(request);
    if (!sent) return sent.error();

    std::string answer;
    std::size_t expected = std::string::npos;
    while (answer.size() < expected) {
        char buffer[16384];
        auto const n = ::recv(s.get(), buffer, sizeof buffer, 0);
        if (n == 0) break;
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (!wait_for(s.get(), POLLIN, deadline)) return failure(errc::timeout);
            continue;
        }
        if (n < 0) return system_failure(errc::channel_lost);
        if (answer.size() + static_cast<std::size_t>(n) > max_answer) return failure(errc::response_too_large);
        answer.append(buffer, static_cast<std::size_t>(n));
        if (expected == std::string::npos) expected = announced_size(answer);
    }
    if (expected != std::string::npos && answer.size() < expected)
        return failure(errc::channel_lost, "the answer ended early");
    return body_of(std::move(answer));
}

}  // namespace jirapool::tools
