#pragma once

#include <jirapool/mock/server.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace jirapool::mock {

/// A blocking TLS client, as simple as can be; every read ends after 10 s.
class client {
public:
    /// `alpn`: what is offered, in the order that is preferred; empty: nothing.
    client(server const& s, std::string const& host, SSL_SESSION* resumed = nullptr,
           std::vector<std::string> const& alpn = {})
        : client(s.port(), s.ca_pem(), host, resumed, alpn) {}
    client(unsigned short port, std::string const& ca_pem, std::string const& host, SSL_SESSION* resumed = nullptr,
           std::vector<std::string> const& alpn = {}) {
        // OpenSSL writes, alerts too, to sockets that the mock has closed, and does not ask to be spared the signal.
        std::signal(SIGPIPE, SIG_IGN);
        context_.reset(SSL_CTX_new(TLS_client_method()));
        trust(ca_pem);
        SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        timeval const limit{10, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket_, reinterpret_cast<sockaddr const*>(&to), sizeof to) != 0) {
            ::close(socket_);
            throw std::runtime_error("no connection");
        }
        // Small frames must not wait for each other's acknowledgement.
        int const at_once = 1;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), socket_);
        SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
        SSL_set1_host(ssl_.get(), host.c_str());
        if (resumed) SSL_set_session(ssl_.get(), resumed);
        std::string offered;
        for (std::string const& name : alpn) offered += static_cast<char>(name.size()) + name;
        if (!offered.empty()) {
            SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<unsigned char const*>(offered.data()),
                                static_cast<unsigned>(offered.size()));
        }
        is_connected_ = SSL_connect(ssl_.get()) == 1;
    }
    ~client() {
        // Else OpenSSL takes the end for a failure and spoils the session's ticket.
        SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        ssl_.reset();
        ::close(socket_);
    }
    client(client const&) = delete;
    client& operator=(client const&) = delete;

    bool is_connected() const { return is_connected_; }
    bool was_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
    std::shared_ptr<SSL_SESSION> session() const { return {SSL_get1_session(ssl_.get()), SSL_SESSION_free}; }

    /// Empty: ALPN chose nothing.
    std::string alpn() const {
        unsigned char const* name = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(ssl_.get(), &name, &size);
        return {reinterpret_cast<char const*>(name), size};
    }

    void send(std::string const& text) { SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())); }
    /// So many bytes; fewer if the connection ends.
    std::string read(std::size_t size) {
        std::string bytes(size, '\0');
        std::size_t have = 0;
        while (have < size) {
            int const n = SSL_read(ssl_.get(), bytes.data() + have, static_cast<int>(size - have));
            if (n <= 0) break;
            have += static_cast<std::size_t>(n);
        }
        bytes.resize(have);
        return bytes;
    }
    /// One answer with Content-Length, or without a body; shorter if the connection ends.
    std::string read_answer() {
        std::string text;
        std::size_t wanted = std::string::npos;
        char c = 0;
        while (text.size() < wanted && SSL_read(ssl_.get(), &c, 1) == 1) {
            text += c;
            if (wanted != std::string::npos || !text.ends_with("\r\n\r\n")) continue;
            auto const at = text.find("Content-Length: ");
            wanted = text.size();
            if (at != std::string::npos) wanted += std::stoul(text.substr(at + 16));
        }
        return text;
    }
    std::string ask(std::string const& text) {
        send(text);
        return read_answer();
    }
    /// True if the server ends the connection before it sends anything more.
    bool is_ended() {
        char c = 0;
        // Of errors before, none may be taken for this read's. A read that ran out of time ended nothing.
        ERR_clear_error();
        int const n = SSL_read(ssl_.get(), &c, 1);
        return n <= 0 && SSL_get_error(ssl_.get(), n) != SSL_ERROR_WANT_READ;
    }
    /// How the last failing read ended: SSL_ERROR_ZERO_RETURN is good order.
    bool was_closed_in_order() { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

private:
    void trust(std::string const& pem) {
        std::unique_ptr<BIO, decltype(&BIO_free)> const bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                            &BIO_free);
        std::unique_ptr<X509, decltype(&X509_free)> const ca(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr),
                                                             &X509_free);
        if (!ca) throw std::runtime_error("no CA");
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), ca.get());
    }

    struct free_context {
        void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
    };
    struct free_ssl {
        void operator()(SSL* s) const { SSL_free(s); }
    };
    std::unique_ptr<SSL_CTX, free_context> context_;
    std::unique_ptr<SSL, free_ssl> ssl_;
    int socket_ = -1;
    bool is_connected_ = false;
};

}  // namespace jirapool::mock
