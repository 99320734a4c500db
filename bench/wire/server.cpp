// One thread, epoll, OpenSSL: cheap enough that the client is what is measured.
#include "bench.hpp"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string_view>
#include <vector>

namespace jirapool::bench {

namespace {

struct guest {
    int descriptor;
    SSL* ssl;
    std::string in;
    std::string_view out;
};

std::vector<guest*> guests;  // by descriptor

// Answers that were asked to be late, in the order in which they are due: all that are, are so by the same.
struct late_answer {
    double due;
    guest* to;
    std::string_view text;
};
std::deque<late_answer> late;

volatile std::sig_atomic_t kill_all = 0;

double now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double number_behind(std::string const& text, char const* name) {
    auto const at = text.find(name);
    return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + std::strlen(name), nullptr);
}

std::string const& answer_of(std::size_t bytes) {
    static std::map<std::size_t, std::string> known;
    auto& text = known[bytes];
    if (text.empty()) {
        // The headers of one of Jira's answers, with the highest limit that is believed: 64 sites of it stop nobody.
        text =
            "HTTP/1.1 200 OK\r\nDate: Wed, 25 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json;charset=UTF-8\r\n"
            "Server: AtlassianEdge\r\nCache-Control: no-cache, no-store, no-transform\r\nTiming-Allow-Origin: *\r\n"
            "X-Arequestid: 2f4f1f1e2c7ad8c5a3a5b0a3b1c0a9d8\r\nX-Content-Type-Options: nosniff\r\n"
            "X-Xss-Protection: 1; mode=block\r\nAtl-Traceid: 0123456789abcdef0123456789abcdef\r\n"
            "Strict-Transport-Security: max-age=63072000; includeSubDomains; preload\r\n"
            "X-RateLimit-Limit: 5000\r\nX-RateLimit-Remaining: 4999\r\nVary: Accept-Encoding\r\n"
            "Content-Length: " +
            std::to_string(bytes) + "\r\n\r\n";
        while (bytes > 0) {
            std::string_view const piece = R"({"id":"10001","key":"PROJ-1","fields":{"summary":"words"}},)";
            text += piece.substr(0, bytes);
            bytes -= std::min(bytes, piece.size());
        }
    }
    return text;
}

bool go_on(guest& g) {
    for (;;) {
        std::size_t n = 0;
        if (!g.out.empty()) {
            if (SSL_write_ex(g.ssl, g.out.data(), g.out.size(), &n) != 1)
                return SSL_get_error(g.ssl, 0) == SSL_ERROR_WANT_WRITE;
            g.out.remove_prefix(n);
            continue;
        }
        char buffer[16384];
        if (SSL_read_ex(g.ssl, buffer, sizeof buffer, &n) != 1) return SSL_get_error(g.ssl, 0) == SSL_ERROR_WANT_READ;
        g.in.append(buffer, n);
        if (!g.in.ends_with("\r\n\r\n")) continue;
        auto const answer = std::string_view(answer_of(static_cast<std::size_t>(number_behind(g.in, "bytes="))));
        auto const delay = number_behind(g.in, "delay_ms=");
        g.in.clear();
        if (delay > 0) late.push_back({now() + delay / 1000, &g, answer});
        else g.out = answer;
    }
}

void welcome(int descriptor, int poll, SSL_CTX* context) {
    int const yes = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    auto* const g = new guest{descriptor, SSL_new(context), {}, {}};
    SSL_set_fd(g->ssl, descriptor);
    SSL_set_accept_state(g->ssl);
    if (guests.size() <= static_cast<std::size_t>(descriptor)) guests.resize(static_cast<std::size_t>(descriptor) + 1);
    guests[static_cast<std::size_t>(descriptor)] = g;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = g;
    epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event);
}

void dismiss(guest* g) {
    std::erase_if(late, [g](late_answer const& a) { return a.to == g; });
    guests[static_cast<std::size_t>(g->descriptor)] = nullptr;
    close(g->descriptor);
    SSL_free(g->ssl);
    delete g;
}

void reset_all() {
    kill_all = 0;
    for (auto* const g : guests) {
        if (g == nullptr) continue;
        linger const at_once{1, 0};
        setsockopt(g->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        dismiss(g);
    }
}

/// Milliseconds until the next one is due; -1: none.
int send_late() {
    while (!late.empty()) {
        auto const wait = late.front().due - now();
        if (wait > 0) return static_cast<int>(wait * 1000) + 1;
        auto const a = late.front();
        late.pop_front();
        a.to->out = a.text;
        if (!go_on(*a.to)) dismiss(a.to);
    }
    return -1;
}

}  // namespace

void serve(int listener, std::string const& certificate, std::string const& key) {
    std::signal(SIGPIPE, SIG_IGN);
    SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_file(context, certificate.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
        std::_Exit(3);
    int const poll = epoll_create1(0);
    epoll_event event{};
    event.events = EPOLLIN;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    std::signal(SIGUSR1, [](int) { kill_all = 1; });
    // Asleep it would have to be woken by the system calls of whoever writes to it: on a virtual machine up to 1.5 us, which a
    // client pays the oftener the slower it is, and which no server elsewhere costs it.
    constexpr double awake = 1e-3;
    double last = 0;
    for (;;) {
        epoll_event ready[64];
        int const due = send_late();
        auto const begun = now();
        int const n = epoll_wait(poll, ready, 64, begun < last + awake ? 0 : due);
        if (n > 0) last = begun;
        for (int i = 0; i < n; ++i) {
            auto* const g = static_cast<guest*>(ready[i].data.ptr);
            if (g != nullptr) {
                if (!go_on(*g)) dismiss(g);
                continue;
            }
            int d = -1;
            while ((d = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0) welcome(d, poll, context);
        }
        if (kill_all != 0) reset_all();
    }
}

}  // namespace jirapool::bench
