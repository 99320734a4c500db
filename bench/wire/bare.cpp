// What the wire costs at the least: epoll, OpenSSL, and a request in one write. No timeouts, no limits, no checks, no errors.
#include "bench.hpp"

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace jirapool::bench {

namespace {

struct connection {
    SSL* ssl = nullptr;
    std::string head;         // until it is whole
    std::string body;         // kept, as a client must
    std::size_t missing = 0;  // of the body
    bool in_body = false;
};

}  // namespace

double run_bare(task const& t) {
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (SSL_CTX_load_verify_file(context, t.ca_file.c_str()) != 1) throw std::runtime_error("CA");
    std::string const request =
        "GET /ex/jira/" + cloud_id(0) + "/rest/api/3/myself?bytes=" + std::to_string(t.body) +
        " HTTP/1.1\r\nHost: api.atlassian.com\r\nUser-Agent: bench/1\r\n"
        "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\nAccept: application/json\r\n\r\n";
    int const poll = epoll_create1(0);
    std::vector<connection> all(channels);
    auto const send = [&](connection& c) {
        std::size_t n = 0;
        if (SSL_write_ex(c.ssl, request.data(), request.size(), &n) != 1) throw std::runtime_error("bare: write");
    };
    for (auto& c : all) {
        int const d = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(t.port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(d, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("bare: connect");
        int const yes = 1;
        setsockopt(d, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        c.ssl = SSL_new(context);
        SSL_set_fd(c.ssl, d);
        if (SSL_connect(c.ssl) != 1) throw std::runtime_error("bare: handshake");
        fcntl(d, F_SETFL, O_NONBLOCK);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &c;
        epoll_ctl(poll, EPOLL_CTL_ADD, d, &event);
        send(c);
    }
    std::vector<char> buffer(64u << 10);
    std::size_t done = 0;
    double begun = 0;
    while (done < t.warm_up + t.calls) {
        epoll_event ready[channels];
        int const n = epoll_wait(poll, ready, channels, -1);
        for (int i = 0; i < n; ++i) {
            auto& c = *static_cast<connection*>(ready[i].data.ptr);
            std::size_t got = 0;
            while (SSL_read_ex(c.ssl, buffer.data(), buffer.size(), &got) == 1) {
                char const* data = buffer.data();
                if (!c.in_body) {
                    c.head.append(data, got);
                    auto const end = c.head.find("\r\n\r\n");
                    if (end == std::string::npos) continue;
                    c.missing = std::strtoul(c.head.c_str() + c.head.find("Content-Length: ") + 16, nullptr, 10);
                    c.in_body = true;
                    c.body.assign(c.head, end + 4);
                    c.missing -= c.body.size();
                    c.head.clear();
                } else {
                    c.body.append(data, got);
                    c.missing -= got;
                }
                if (c.missing > 0) continue;
                c.in_body = false;
                if (++done == t.warm_up) begun = cpu_seconds();
                send(c);
            }
            if (SSL_get_error(c.ssl, 0) != SSL_ERROR_WANT_READ) throw std::runtime_error("bare: read");
        }
    }
    return cpu_seconds() - begun;
}

}  // namespace jirapool::bench
