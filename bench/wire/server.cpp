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
#include <map>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace jirapool::bench {

namespace {

struct guest {
    int descriptor;
    SSL* ssl;
    std::string in;
    std::string_view out;
};

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
        auto const at = g.in.find("bytes=");
        g.out = answer_of(std::strtoul(g.in.c_str() + at + 6, nullptr, 10));
        g.in.clear();
    }
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
    for (;;) {
        epoll_event ready[64];
        int const n = epoll_wait(poll, ready, 64, -1);
        for (int i = 0; i < n; ++i) {
            auto* g = static_cast<guest*>(ready[i].data.ptr);
            if (g == nullptr) {
                int const d = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
                if (d < 0) continue;
                int const yes = 1;
                setsockopt(d, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                g = new guest{d, SSL_new(context), {}, {}};
                SSL_set_fd(g->ssl, d);
                SSL_set_accept_state(g->ssl);
                event.events = EPOLLIN | EPOLLOUT | EPOLLET;
                event.data.ptr = g;
                epoll_ctl(poll, EPOLL_CTL_ADD, d, &event);
            } else if (!go_on(*g)) {
                close(g->descriptor);
                SSL_free(g->ssl);
                delete g;
            }
        }
    }
}

}  // namespace jirapool::bench
