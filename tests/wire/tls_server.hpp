#pragma once

#include "certificates.hpp"

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

namespace jirapool::wire_test {

/// The server's end of one TCP connection, as a script sees it: everything blocks, for 10 s at most.
class tls_peer {
public:
    tls_peer(int descriptor, SSL_CTX* context, std::uint64_t number)
        : descriptor_(descriptor), ssl_(SSL_new(context), SSL_free), number_(number) {
        SSL_set_fd(ssl_.get(), descriptor_);
    }
    ~tls_peer() { ::close(descriptor_); }
    tls_peer(tls_peer const&) = delete;
    tls_peer& operator=(tls_peer const&) = delete;

    /// Counts the server's connections from 1.
    std::uint64_t number() const noexcept { return number_; }
    bool handshake() { return SSL_accept(ssl_.get()) == 1; }
    bool resumed() const noexcept { return SSL_session_reused(ssl_.get()) == 1; }
    std::string sni() const {
        char const* const name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
        return name != nullptr ? name : "";
    }
    SSL* ssl() const noexcept { return ssl_.get(); }

    /// Head and body of the next request; nullopt when the client closes, or says nothing for 10 s.
    std::optional<std::string> read_request() { return read_request(true); }
    /// The same without its body, which may still be coming: what is read behind it is that.
    std::optional<std::string> read_head() { return read_request(false); }
    /// Some of that; empty: the client closes, or says nothing for 10 s.
    std::string read_some() {
        if (!rest_.empty()) return std::exchange(rest_, {});
        std::string some(16384, '\0');
        std::size_t n = 0;
        if (SSL_read_ex(ssl_.get(), some.data(), some.size(), &n) != 1) n = 0;
        some.resize(n);
        return some;
    }

    bool write(std::string_view bytes) {
        std::size_t n = 0;
        return bytes.empty() || SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n) == 1;
    }
    /// Not through TLS.
    bool write_plain(std::string_view bytes) {
        return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
    }
    void close_notify() { SSL_shutdown(ssl_.get()); }
    /// Ends what we send, without a word of TLS.
    void finish() { ::shutdown(descriptor_, SHUT_WR); }
    /// What follows the script is a TCP reset.
    void reset() {
        linger const now{1, 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    /// Says nothing until the client goes.
    void stall() {
        char buffer[4096];
        while (::recv(descriptor_, buffer, sizeof buffer, 0) > 0) {
        }
    }

private:
    friend class tls_server;

    std::optional<std::string> read_request(bool whole) {
        std::string text = std::exchange(rest_, {});
        std::size_t needed = std::string::npos;
        while (needed == std::string::npos || text.size() < needed) {
            if (needed == std::string::npos) {
                auto const head = text.find("\r\n\r\n");
                if (head != std::string::npos) {
                    auto const length = text.find("Content-Length: ");
                    needed = head + 4 + (whole && length < head ? std::stoul(text.substr(length + 16)) : 0);
                    continue;
                }
            }
            char buffer[4096];
            std::size_t n = 0;
            if (SSL_read_ex(ssl_.get(), buffer, sizeof buffer, &n) != 1) return std::nullopt;
            text.append(buffer, n);
        }
        rest_ = text.substr(needed);
        text.resize(needed);
        return text;
    }

    int descriptor_;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
    std::uint64_t number_;
    std::string rest_;
};

/** A TLS server that does to each connection what a script says, in a thread of its own. Ends, whatever the scripts do, with
    its destructor. */
class tls_server {
public:
    using script = std::function<void(tls_peer&)>;

    /// `configure`: what else the context shall do.
    tls_server(identity const& who, script s, int min_version = TLS1_2_VERSION, int max_version = TLS1_3_VERSION,
               std::function<void(SSL_CTX*)> const& configure = {})
        : script_(std::move(s)), context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
        auto* const c = context_.get();
        // TLS 1.0 and 1.1 need a level at which their hashes are still allowed.
        if (max_version < TLS1_2_VERSION) SSL_CTX_set_security_level(c, 0);
        SSL_CTX_set_min_proto_version(c, min_version);
        SSL_CTX_set_max_proto_version(c, max_version);
        SSL_CTX_use_certificate(c, who.certificate.get());
        SSL_CTX_use_PrivateKey(c, who.key.get());
        for (auto const& link : who.chain) SSL_CTX_add1_chain_cert(c, link.get());
        SSL_CTX_set_session_id_context(c, reinterpret_cast<unsigned char const*>("test"), 4);
        SSL_CTX_set_alpn_select_cb(
            c,
            [](SSL*, unsigned char const** out, unsigned char* size, unsigned char const* in, unsigned in_size, void*) {
                static unsigned char const ours[] = "\x08http/1.1";
                unsigned char* chosen = nullptr;
                if (SSL_select_next_proto(&chosen, size, ours, sizeof ours - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
                    return SSL_TLSEXT_ERR_NOACK;
                *out = chosen;
                return SSL_TLSEXT_ERR_OK;
            },
            nullptr);
        if (configure) configure(c);
        sockaddr_in here{};
        here.sin_family = AF_INET;
        here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof here;
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&here), size) != 0 || ::listen(listener_, 1024) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&here), &size) != 0)
            throw std::runtime_error("the test's server cannot listen");
        port_ = ntohs(here.sin_port);
        acceptor_ = std::thread([this] { accept_all(); });
    }
    ~tls_server() {
        {
            std::lock_guard const lock(mutex_);
            stopping_ = true;
            for (int const d : open_) ::shutdown(d, SHUT_RDWR);
        }
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        for (auto& t : threads_) t.join();
        ::close(listener_);
    }
    tls_server(tls_server const&) = delete;
    tls_server& operator=(tls_server const&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    std::uint64_t accepted() const noexcept { return accepted_; }

private:
    void accept_all() {
        // OpenSSL writes with write(2). For these threads only: that the library raises no SIGPIPE shall be seen.
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
        for (;;) {
            int const d = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (d < 0) return;
            int const yes = 1;
            ::setsockopt(d, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            timeval const patience{10, 0};
            ::setsockopt(d, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
            ::setsockopt(d, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
            auto const number = ++accepted_;
            std::lock_guard const lock(mutex_);
            if (stopping_) {
                ::close(d);
                return;
            }
            open_.insert(d);
            threads_.emplace_back([this, d, number] {
                auto peer = std::make_unique<tls_peer>(d, context_.get(), number);
                script_(*peer);
                std::lock_guard const closing(mutex_);
                open_.erase(d);
                peer.reset();
            });
        }
    }

    script script_;
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::thread acceptor_;
    std::atomic<std::uint64_t> accepted_{0};
    std::mutex mutex_;
    bool stopping_ = false;
    std::unordered_set<int> open_;
    std::vector<std::thread> threads_;
};

}  // namespace jirapool::wire_test
