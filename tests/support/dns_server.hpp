#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace jirapool::support {

/// What a name server does with a question.
enum class dns_act : std::uint8_t {
    address,        ///< one A record, no AAAA
    only_v6,        ///< one AAAA record, no A
    mute_on_v6,     ///< one A record; never answers for AAAA
    silent,         ///< never answers
    no_such_name,   ///< NXDOMAIN
    no_data,        ///< exists, and has no address
    fails,          ///< SERVFAIL
    refuses,        ///< REFUSED
    truncated,      ///< over UDP the truth is too long; over TCP as `address`
    garbage,        ///< bytes that are no message
    empty,          ///< a datagram of no bytes, then as `address`
    wrong_id,       ///< somebody else's answer, then nothing
    wrong_id_first  ///< somebody else's answer to another address, then as `address`
};

/** A name server of the test's own on the loopback device, over UDP and TCP. Its script runs on its
    thread. */
class dns_server {
public:
    using script = std::function<dns_act(std::string const& name)>;

    /// `address`: what all names have. `host`, `port`: where it listens; 0: on a port of its own.
    explicit dns_server(script s, char const* address = "127.0.0.1", char const* host = "127.0.0.1",
                        std::uint16_t port = 0)
        : script_(std::move(s)), address_(address), host_(host) {
        sockaddr_in here{};
        here.sin_family = AF_INET;
        ::inet_pton(AF_INET, host, &here.sin_addr);
        socklen_t size = sizeof here;
        // The same port for both; another if somebody has the one of them.
        for (int i = 0; i < 20 && tcp_ < 0; ++i) {
            udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
            int const room = 4 << 20;
            ::setsockopt(udp_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
            here.sin_port = htons(port);
            if (::bind(udp_, reinterpret_cast<sockaddr*>(&here), size) != 0) break;
            ::getsockname(udp_, reinterpret_cast<sockaddr*>(&here), &size);
            tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (::bind(tcp_, reinterpret_cast<sockaddr*>(&here), size) == 0 && ::listen(tcp_, 16) == 0) break;
            ::close(tcp_);
            ::close(udp_);
            tcp_ = -1;
        }
        if (tcp_ < 0) throw std::runtime_error("the test's name server has no port");
        port_ = ntohs(here.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~dns_server() {
        stop_ = true;
        thread_.join();
        ::close(udp_);
        ::close(tcp_);
    }
    dns_server(dns_server const&) = delete;
    dns_server& operator=(dns_server const&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    /// As a line of resolv.conf.
    std::string line() const { return "nameserver " + host_ + "\n"; }
    /// Questions for the name so far, of both families, repeated ones as well.
    int asked(std::string const& name) const {
        std::lock_guard const lock(mutex_);
        auto const n = asked_.find(name);
        return n == asked_.end() ? 0 : n->second;
    }
    int over_tcp() const noexcept { return over_tcp_; }

private:
    using bytes = std::vector<unsigned char>;
    static void put(bytes& b, unsigned v) {
        b.push_back(static_cast<unsigned char>(v >> 8));
        b.push_back(static_cast<unsigned char>(v));
    }

    void run() {
        while (!stop_) {
            pollfd both[] = {{udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
            if (::poll(both, 2, 20) <= 0) continue;
            if (both[0].revents) serve_datagram();
            if (both[1].revents) serve_connection();
        }
    }

    void serve_datagram() {
        unsigned char in[1500];
        sockaddr_in from{};
        socklen_t size = sizeof from;
        auto const n = ::recvfrom(udp_, in, sizeof in, 0, reinterpret_cast<sockaddr*>(&from), &size);
        if (n < 17) return;
        for (auto const& out : answers(bytes(in, in + n), false))
            ::sendto(udp_, out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }

    void serve_connection() {
        int const s = ::accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
        if (s < 0) return;
        ++over_tcp_;
        timeval const patience{1, 0};
        ::setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        unsigned char head[2];
        while (::recv(s, head, 2, MSG_WAITALL) == 2) {
            bytes in(static_cast<std::size_t>(head[0] << 8 | head[1]));
            if (::recv(s, in.data(), in.size(), MSG_WAITALL) != static_cast<ssize_t>(in.size())) break;
            for (auto const& message : answers(in, true)) {
                bytes out;
                put(out, static_cast<unsigned>(message.size()));
                out.insert(out.end(), message.begin(), message.end());
                ::send(s, out.data(), out.size(), MSG_NOSIGNAL);
            }
        }
        ::close(s);
    }

    std::vector<bytes> answers(bytes const& in, bool tcp) {
        std::string name;
        std::size_t i = 12;
        while (i < in.size() && in[i] != 0) {
            if (!name.empty()) name += '.';
            name.append(reinterpret_cast<char const*>(&in[i + 1]), in[i]);
            i += in[i] + 1u;
        }
        bool const v6 = in.at(i + 2) == 28;
        auto const question_end = i + 5;
        {
            std::lock_guard const lock(mutex_);
            ++asked_[name];
        }
        auto const message = [&](unsigned code, bool record, bool cut = false, char const* to = nullptr) {
            bytes out(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(question_end));
            out[2] = static_cast<unsigned char>(0x81 | (cut ? 2 : 0));
            out[3] = static_cast<unsigned char>(0x80 | code);
            out[6] = 0;
            out[7] = record ? 1 : 0;
            for (std::size_t k = 8; k < 12; ++k) out[k] = 0;
            if (!record) return out;
            put(out, 0xc00c);
            put(out, v6 ? 28 : 1);
            put(out, 1);
            put(out, 0);
            put(out, 60);
            unsigned char address[16];
            unsigned const size = v6 ? 16 : 4;
            if (v6) ::inet_pton(AF_INET6, "::1", address);
            else ::inet_pton(AF_INET, to ? to : address_.c_str(), address);
            put(out, size);
            out.insert(out.end(), address, address + size);
            return out;
        };
        auto const mistaken = [](bytes b) {
            b[0] = static_cast<unsigned char>(b[0] ^ 0xff);
            return b;
        };
        switch (script_(name)) {
        case dns_act::address: return {message(0, !v6)};
        case dns_act::only_v6: return {message(0, v6)};
        case dns_act::mute_on_v6:
            if (v6) return {};
            return {message(0, true)};
        case dns_act::silent: return {};
        case dns_act::no_such_name: return {message(3, false)};
        case dns_act::no_data: return {message(0, false)};
        case dns_act::fails: return {message(2, false)};
        case dns_act::refuses: return {message(5, false)};
        case dns_act::truncated: return {tcp ? message(0, !v6) : message(0, false, true)};
        case dns_act::garbage: {
            auto const whole = message(0, !v6);
            return {bytes(40, 0xff), bytes{1, 2, 3}, bytes(whole.begin(), whole.begin() + 20)};
        }
        case dns_act::empty: return {bytes{}, message(0, !v6)};
        case dns_act::wrong_id: return {mistaken(message(0, !v6))};
        case dns_act::wrong_id_first: return {mistaken(message(0, !v6, false, "127.0.0.66")), message(0, !v6)};
        }
        return {};
    }

    script script_;
    std::string address_;
    std::string host_;
    int udp_ = -1;
    int tcp_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<bool> stop_{false};
    std::atomic<int> over_tcp_{0};
    mutable std::mutex mutex_;
    std::map<std::string, int> asked_;
    std::thread thread_;
};

/// A resolv.conf.
class resolv_conf {
public:
    explicit resolv_conf(std::string const& text)
        : path_("/tmp/jirapool-test-resolv-" + std::to_string(::getpid()) + "-" + std::to_string(next_++)) {
        write(text);
    }
    ~resolv_conf() { std::remove(path_.c_str()); }
    resolv_conf(resolv_conf const&) = delete;
    resolv_conf& operator=(resolv_conf const&) = delete;
    /// As who cares for readers: another file, renamed to its place.
    void write(std::string const& text) {
        std::ofstream(path_ + ".new") << text;
        std::rename((path_ + ".new").c_str(), path_.c_str());
    }
    std::string const& path() const noexcept { return path_; }

private:
    static inline int next_ = 0;
    std::string path_;
};

}  // namespace jirapool::support
