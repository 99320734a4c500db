#pragma once

#include "support/http2_frames.hpp"
#include "tls_server.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::wire_test {

namespace h2 = test::h2;

/// The server's end of one HTTP/2 connection, frame by frame.
class h2_peer {
public:
    explicit h2_peer(tls_peer& p) : peer_(p) {}

    /// Reads the client's preface, and says our settings.
    bool begin(std::string const& settings) {
        while (rest_.size() < h2::preface.size())
            if (!read_record()) return false;
        if (!rest_.starts_with(h2::preface)) return false;
        rest_.erase(0, h2::preface.size());
        return write(settings);
    }
    tls_peer& tls() noexcept { return peer_; }
    bool write(std::string_view bytes) { return peer_.write(bytes); }

    /// The next frame of any kind; nullopt when the client closes, or says nothing for 10 s. Settings and pings are answered.
    std::optional<h2::seen_frame> read() {
        for (;;) {
            if (auto f = h2::next_frame(rest_)) {
                if (f->type == h2::settings && (f->flags & h2::ack) == 0) write(h2::settings_ack());
                if (f->type == h2::ping && (f->flags & h2::ack) == 0 && answers_pings)
                    write(h2::frame(h2::ping, h2::ack, 0, f->payload));
                return f;
            }
            if (!read_record()) return std::nullopt;
        }
    }
    std::optional<h2::seen_frame> read(std::uint8_t type) {
        for (;;) {
            auto f = read();
            if (!f || f->type == type) return f;
        }
    }
    /// Reads up to the end of the next request. @return its stream; 0 when there is none.
    std::uint32_t read_request() {
        for (;;) {
            auto const f = read();
            if (!f) return 0;
            if (f->ends_stream()) return f->stream;
        }
    }
    /// Until the client goes.
    void stall() {
        while (read()) {
        }
    }
    /// Records of TLS that came.
    std::size_t records() const noexcept { return records_; }

    bool answers_pings = true;

private:
    bool read_record() {
        char buffer[20'000];
        std::size_t n = 0;
        if (SSL_read_ex(peer_.ssl(), buffer, sizeof buffer, &n) != 1) return false;
        rest_.append(buffer, n);
        ++records_;
        return true;
    }

    tls_peer& peer_;
    std::string rest_;
    std::size_t records_ = 0;
};

/// For tls_server: HTTP/2 is chosen when it is offered, else nothing.
inline void choose_http2(SSL_CTX* c) {
    SSL_CTX_set_alpn_select_cb(
        c,
        [](SSL*, unsigned char const** out, unsigned char* size, unsigned char const* in, unsigned in_size, void*) {
            static unsigned char const ours[] = "\x02h2";
            unsigned char* chosen = nullptr;
            if (SSL_select_next_proto(&chosen, size, ours, sizeof ours - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_NOACK;
            *out = chosen;
            return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
}

}  // namespace jirapool::wire_test
