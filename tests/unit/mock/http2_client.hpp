#pragma once

#include "unit/mock/tls_client.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::mock {

/// What came on one stream.
struct http2_answer {
    std::string field(std::string const& name) const {
        auto const it = fields.find(name);
        return it == fields.end() ? std::string() : it->second;
    }

    /// 0: none came.
    int status = 0;
    std::map<std::string, std::string> fields;
    std::string body;
    bool is_ended = false;
    /// RST_STREAM's code.
    std::optional<std::uint32_t> reset;
    /// Statuses below 200.
    std::vector<int> informational;
};

/** A blocking HTTP/2 client that makes its frames itself, so that it says what a library would not, and sees what a library hides.
    Only the compression of header fields is read by nghttp2. It acknowledges SETTINGS and PINGs, and opens its windows again, unless
    it is told not to. */
class http2_client {
public:
    struct frame {
        std::uint8_t type = 0;
        std::uint8_t flags = 0;
        std::uint32_t stream = 0;
        std::string payload;
    };
    struct goaway {
        std::uint32_t last = 0;
        std::uint32_t code = 0;
    };

    http2_client(server const& s, std::string host_) : host(std::move(host_)), tls_(s, host, nullptr, {"h2"}) {
        nghttp2_hd_inflater* made = nullptr;
        nghttp2_hd_inflate_new(&made);
        inflater_.reset(made);
        tls_.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + make(settings, 0, 0, {}));
    }

    static constexpr std::uint8_t data = 0, headers = 1, rst_stream = 3, settings = 4, push_promise = 5, ping = 6,
                                  goaway_type = 7, window_update = 8, continuation = 9;
    static constexpr std::uint8_t end_stream = 1, ack = 1, end_headers = 4, is_padded = 8;

    static std::string bytes_of(std::uint32_t n) {
        std::string out;
        for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(static_cast<unsigned char>(n >> shift));
        return out;
    }
    static std::uint32_t number_in(std::string_view bytes) {
        std::uint32_t n = 0;
        for (char const c : bytes.substr(0, 4)) n = n << 8 | static_cast<unsigned char>(c);
        return n;
    }
    static std::string make(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string const& payload) {
        std::string out = bytes_of(static_cast<std::uint32_t>(payload.size())).substr(1);
        out += static_cast<char>(type);
        out += static_cast<char>(flags);
        return out + bytes_of(stream) + payload;
    }
    /// Not indexed; names and values shorter than 127 are enough here, but for what is told to be long.
    static std::string field(std::string const& name, std::string const& value) {
        return '\0' + string_of(name) + string_of(value);
    }

    bool is_connected() const { return tls_.is_connected() && tls_.alpn() == "h2"; }
    void send(std::string const& frames) { tls_.send(frames); }

    /// The frames of a request's head, and its stream.
    std::string head(std::uint32_t stream, std::string const& method, std::string const& path,
                     std::vector<std::pair<std::string, std::string>> const& more, bool is_whole) const {
        std::string block = field(":method", method) + field(":scheme", "https") + field(":path", path) +
                            field(":authority", host);
        for (auto const& [name, value] : more) block += field(name, value);
        constexpr std::size_t most = 16'384;
        std::string out;
        for (std::size_t at = 0; at < block.size(); at += most) {
            auto flags = static_cast<std::uint8_t>(at + most >= block.size() ? end_headers : 0);
            if (at == 0 && is_whole) flags |= end_stream;
            out += make(at == 0 ? headers : continuation, flags, stream, block.substr(at, most));
        }
        return out;
    }
    std::uint32_t next_stream() { return std::exchange(next_stream_, next_stream_ + 2); }
    /// Sends a request without a body, or with one of which nothing is sent yet, and returns its stream.
    std::uint32_t begin(std::string const& method, std::string const& path,
                        std::vector<std::pair<std::string, std::string>> const& more = {}, bool is_whole = true) {
        std::uint32_t const stream = next_stream();
        send(head(stream, method, path, more, is_whole));
        windows_[stream] = initial_window_;
        return stream;
    }
    /// As much of `body` as the windows let through until its stream or the connection ends; returns how much that is.
    std::size_t send_body(std::uint32_t stream, std::string_view body) {
        std::size_t sent = 0;
        do {
            std::int64_t const window = std::min(windows_[stream], connection_window_);
            if (window <= 0 && sent < body.size()) {
                if (!next()) break;
                if (answers_[stream].reset) break;
                continue;
            }
            std::size_t const n = std::min({body.size() - sent, std::size_t{16'384}, static_cast<std::size_t>(window)});
            send(make(data, sent + n == body.size() ? end_stream : 0, stream, std::string(body.substr(sent, n))));
            windows_[stream] -= static_cast<std::int64_t>(n);
            connection_window_ -= static_cast<std::int64_t>(n);
            sent += n;
        } while (sent < body.size());
        return sent;
    }

    /// Reads until the stream has ended in any way, or the connection has.
    http2_answer const& wait_for(std::uint32_t stream) {
        http2_answer const& a = answers_[stream];
        while (!a.is_ended && !a.reset && next()) {
        }
        return a;
    }
    http2_answer const& ask(std::string const& method, std::string const& path,
                            std::vector<std::pair<std::string, std::string>> const& more = {}) {
        return wait_for(begin(method, path, more));
    }
    http2_answer const& answer_of(std::uint32_t stream) { return answers_[stream]; }
    /// Reads until the connection ends.
    void read_all() {
        while (next()) {
        }
    }
    /// Reads until such a frame came, which it returns; nullopt if the connection ends.
    std::optional<frame> wait_for_frame(std::uint8_t type, std::uint8_t flags = 0) {
        while (auto f = next()) {
            if (f->type == type && (f->flags & flags) == flags) return f;
        }
        return std::nullopt;
    }
    /// Whether all that was sent so far has been taken: a PING that comes back behind it says so.
    bool is_answered_by_ping() {
        send(make(ping, 0, 0, "mockping"));
        return wait_for_frame(ping, ack).has_value();
    }
    /// One frame, of which all is noted; nullopt if the connection ends.
    std::optional<frame> next() {
        std::string const h = tls_.read(9);
        if (h.size() < 9) return std::nullopt;
        frame f;
        std::size_t const size = number_in('\0' + h.substr(0, 3));
        f.type = static_cast<std::uint8_t>(h[3]);
        f.flags = static_cast<std::uint8_t>(h[4]);
        f.stream = number_in(std::string_view(h).substr(5)) & 0x7fff'ffffu;
        f.payload = tls_.read(size);
        if (f.payload.size() < size) return std::nullopt;
        frames.push_back({f.type, f.flags, f.stream, {}});
        note(f);
        return f;
    }

    bool is_ended() { return tls_.is_ended(); }
    bool was_closed_in_order() { return tls_.was_closed_in_order(); }
    std::size_t count(std::uint8_t type) const {
        return static_cast<std::size_t>(std::count_if(frames.begin(), frames.end(),
                                                      [type](frame const& f) { return f.type == type; }));
    }

    std::string const host;
    /// All that came, without payloads.
    std::vector<frame> frames;
    std::vector<goaway> goaways;
    /// The server's, by their numbers.
    std::map<std::uint16_t, std::uint32_t> server_settings;
    bool opens_windows = true;
    bool acknowledges = true;
    /// The size of the last header block, as it came.
    std::size_t block_size = 0;

private:
    struct delete_inflater {
        void operator()(nghttp2_hd_inflater* i) const { nghttp2_hd_inflate_del(i); }
    };

    static std::string string_of(std::string const& text) {
        std::string out;
        if (text.size() < 127) return static_cast<char>(text.size()) + text;
        out += '\x7f';
        std::size_t rest = text.size() - 127;
        for (; rest >= 128; rest /= 128) out += static_cast<char>(static_cast<unsigned char>(rest % 128 + 128));
        return out + static_cast<char>(rest) + text;
    }

    /// Without its padding.
    static std::string_view content_of(frame const& f) {
        std::string_view all = f.payload;
        if ((f.flags & is_padded) == 0) return all;
        std::size_t const padding = static_cast<unsigned char>(all.at(0));
        return all.substr(1, all.size() - 1 - padding);
    }

    void note(frame const& f) {
        switch (f.type) {
        case headers:
            block_ = content_of(f);
            block_flags_ = f.flags;
            if ((f.flags & end_headers) != 0) note_block(f.stream);
            break;
        case continuation:
            block_ += f.payload;
            if ((f.flags & end_headers) != 0) note_block(f.stream);
            break;
        case data: note_data(f); break;
        case rst_stream: answers_[f.stream].reset = number_in(f.payload); break;
        case settings: note_settings(f); break;
        case ping:
            if ((f.flags & ack) == 0 && acknowledges) send(make(ping, ack, 0, f.payload));
            break;
        case goaway_type:
            goaways.push_back({number_in(f.payload) & 0x7fff'ffffu, number_in(std::string_view(f.payload).substr(4))});
            break;
        case window_update: (f.stream == 0 ? connection_window_ : windows_[f.stream]) += number_in(f.payload); break;
        default: break;
        }
    }

    void note_data(frame const& f) {
        http2_answer& a = answers_[f.stream];
        a.body += content_of(f);
        if ((f.flags & end_stream) != 0) a.is_ended = true;
        if (!opens_windows || f.payload.empty()) return;
        std::string const size = bytes_of(static_cast<std::uint32_t>(f.payload.size()));
        std::string more = make(window_update, 0, 0, size);
        if (!a.is_ended) more += make(window_update, 0, f.stream, size);
        send(more);
    }

    void note_settings(frame const& f) {
        if ((f.flags & ack) != 0) return;
        for (std::size_t at = 0; at + 6 <= f.payload.size(); at += 6) {
            std::uint32_t const name = number_in(std::string(2, '\0') + f.payload.substr(at, 2));
            std::uint32_t const value = number_in(std::string_view(f.payload).substr(at + 2));
            server_settings[static_cast<std::uint16_t>(name)] = value;
            if (name != 4) continue;
            for (auto& [stream, window] : windows_) window += std::int64_t{value} - initial_window_;
            initial_window_ = value;
        }
        if (acknowledges) send(make(settings, ack, 0, {}));
    }

    void note_block(std::uint32_t stream) {
        block_size = block_.size();
        http2_answer& a = answers_[stream];
        std::map<std::string, std::string> fields;
        auto const* at = reinterpret_cast<std::uint8_t const*>(block_.data());
        std::size_t left = block_.size();
        while (true) {
            nghttp2_nv nv{};
            int flags = 0;
            ssize_t const n = nghttp2_hd_inflate_hd2(inflater_.get(), &nv, &flags, at, left, 1);
            if (n < 0) {
                fields["(unreadable)"] = "yes";
                break;
            }
            at += n;
            left -= static_cast<std::size_t>(n);
            if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
                fields[std::string(reinterpret_cast<char const*>(nv.name), nv.namelen)] = std::string(
                    reinterpret_cast<char const*>(nv.value), nv.valuelen);
            }
            if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
                nghttp2_hd_inflate_end_headers(inflater_.get());
                break;
            }
            if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && left == 0) break;
        }
        int const status = fields.contains(":status") ? std::stoi(fields[":status"]) : 0;
        if (status >= 100 && status < 200) {
            a.informational.push_back(status);
            return;
        }
        a.status = status;
        a.fields = std::move(fields);
        if ((block_flags_ & end_stream) != 0) a.is_ended = true;
    }

    client tls_;
    std::unique_ptr<nghttp2_hd_inflater, delete_inflater> inflater_;
    std::uint32_t next_stream_ = 1;
    std::map<std::uint32_t, http2_answer> answers_;
    std::string block_;
    std::uint8_t block_flags_ = 0;
    // What may still be sent.
    std::int64_t initial_window_ = 65'535;
    std::int64_t connection_window_ = 65'535;
    std::map<std::uint32_t, std::int64_t> windows_;
};

}  // namespace jirapool::mock
