#pragma once

#include "fixture.hpp"
#include "http2_peer.hpp"
#include "tls_server.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool::wire_test {

/// A header's value in a request's text, several of them joined by `|`. Names are what they are in any case (RFC 9110, section 5.1).
inline std::string header_of(std::string_view request, std::string_view name) {
    auto const same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    };
    request = request.substr(0, request.find("\r\n\r\n"));
    std::string all;
    for (auto at = request.find("\r\n"); at != request.npos; at = request.find("\r\n", at)) {
        at += 2;
        auto const line = request.substr(at, request.find("\r\n", at) - at);
        if (line.size() < name.size() + 2 || line.substr(name.size(), 2) != ": ") continue;
        if (!std::equal(name.begin(), name.end(), line.begin(), same)) continue;
        all.append(all.empty() ? "" : "|").append(line.substr(name.size() + 2));
    }
    return all;
}

/// Told what an answer's text says. What returns false wants no more.
class answer_listener {
public:
    virtual bool on_head(h2::fields const& head, bool closes, bool last) = 0;
    virtual bool on_body(std::string_view piece, bool last) = 0;
    virtual bool on_trailers(h2::fields const& all) = 0;

protected:
    ~answer_listener() = default;
};

/// The text of HTTP/1.1's answers, as it is written: in pieces that are cut anywhere. They are a test's own, and right.
class answer_text {
public:
    void begin(bool head_request) {
        rest_.clear();
        state_ = state::head;
        head_request_ = head_request;
    }
    bool put(std::string_view text, answer_listener& to) {
        rest_ += text;
        std::size_t at = 0;
        bool goes_on = true;
        while (goes_on && state_ != state::over) {
            auto const n = step(std::string_view(rest_).substr(at), to, goes_on);
            if (n == 0) break;
            at += n;
        }
        rest_.erase(0, at);
        return goes_on;
    }
    /// What only the connection's end ends.
    bool end(answer_listener& to) { return state_ != state::to_the_end || over(to.on_body({}, true)); }

private:
    enum class state { head, sized, to_the_end, chunk_size, chunk, chunk_end, trailers, over };

    /// @return how much was used; 0: it takes more.
    std::size_t step(std::string_view left, answer_listener& to, bool& goes_on) {
        auto const line = left.find("\r\n");
        switch (state_) {
        case state::head: {
            auto const end = left.find("\r\n\r\n");
            if (end == left.npos) return 0;
            goes_on = read_head(left.substr(0, end + 2), to);
            return end + 4;
        }
        case state::sized:
        case state::to_the_end:
        case state::chunk: {
            auto const n = state_ == state::to_the_end ? left.size() : std::min(left.size(), left_);
            if (n == 0) return 0;
            if (state_ != state::to_the_end) left_ -= n;
            bool const last = state_ == state::sized && left_ == 0;
            goes_on = to.on_body(left.substr(0, n), last);
            if (last) state_ = state::over;
            if (state_ == state::chunk && left_ == 0) state_ = state::chunk_end;
            return n;
        }
        case state::chunk_size:
            if (line == left.npos) return 0;
            left_ = std::stoul(std::string(left.substr(0, line)), nullptr, 16);
            state_ = left_ == 0 ? state::trailers : state::chunk;
            trailers_.clear();
            return line + 2;
        case state::chunk_end:
            if (left.size() < 2) return 0;
            state_ = state::chunk_size;
            return 2;
        case state::trailers:
            if (line == left.npos) return 0;
            if (line > 0) trailers_.push_back(field(left.substr(0, line)));
            else goes_on = over(trailers_.empty() ? to.on_body({}, true) : to.on_trailers(trailers_));
            return line + 2;
        case state::over: break;
        }
        return 0;
    }

    bool read_head(std::string_view head, answer_listener& to) {
        constexpr std::size_t before_status = 9;  // "HTTP/1.1 "
        h2::fields all{{":status", std::string(head.substr(before_status, 3))}};
        std::optional<std::size_t> length;
        bool chunked = false, closes = false;
        for (auto at = head.find("\r\n") + 2; at < head.size(); at = head.find("\r\n", at) + 2) {
            auto f = field(head.substr(at, head.find("\r\n", at) - at));
            if (f.first == "content-length") length = std::stoul(f.second);
            if (f.first == "transfer-encoding") chunked = true;
            else if (f.first == "connection") closes = f.second == "close";
            else all.push_back(std::move(f));
        }
        auto const status = std::stoi(all.front().second);
        if (status < 200) return to.on_head(all, closes, false);
        bool const none = head_request_ || status == 204 || status == 304 || (length == std::size_t(0) && !chunked);
        left_ = length.value_or(0);
        state_ = none ? state::over : chunked ? state::chunk_size : length ? state::sized : state::to_the_end;
        return to.on_head(all, closes, none);
    }

    static std::pair<std::string, std::string> field(std::string_view line) {
        auto const colon = line.find(':');
        if (colon == line.npos) throw std::logic_error("a test's answer has a header that is none");
        std::string name(line.substr(0, colon));
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
        auto const value = line.substr(std::min(line.find_first_not_of(' ', colon + 1), line.size()));
        return {std::move(name), std::string(value)};
    }

    bool over(bool goes_on) {
        state_ = state::over;
        return goes_on;
    }

    state state_ = state::over;
    bool head_request_ = false;
    std::size_t left_ = 0;
    std::string rest_;
    h2::fields trailers_;
};

/// A whole answer's text, or the beginning of one, in the frames of a stream, without a look at its window.
inline std::string in_frames(std::string_view text, std::uint32_t stream) {
    struct writer final : answer_listener {
        bool on_head(h2::fields const& head, bool closes, bool last) override {
            if (closes) all += h2::goaway_frame(stream, h2::no_error);
            all += h2::headers_frame(stream, head, last);
            return true;
        }
        bool on_body(std::string_view piece, bool last) override {
            all += h2::data_frames(stream, piece, last);
            return true;
        }
        bool on_trailers(h2::fields const& trailers) override {
            all += h2::headers_frame(stream, trailers, true);
            return true;
        }
        std::uint32_t stream = 0;
        std::string all;
    } to;
    to.stream = stream;
    answer_text said;
    said.begin(false);
    said.put(text, to);
    return to.all;
}

/** HTTP/2 in the words of HTTP/1.1: one exchange after the other, in the order in which their requests are whole. What comes
    meanwhile waits for its turn. */
class http2_words final : private answer_listener {
public:
    explicit http2_words(tls_peer& p) : peer_(p) {
        if (nghttp2_hd_inflate_new(&inflater_) != 0) throw std::bad_alloc();
        lives_ = peer_.begin(h2::settings_frame());
    }
    ~http2_words() { nghttp2_hd_inflate_del(inflater_); }
    http2_words(http2_words const&) = delete;
    http2_words& operator=(http2_words const&) = delete;

    /// `whole`: with its body; else as soon as its head is there.
    std::optional<std::string> read_request(bool whole) {
        for (;;) {
            auto const next = std::find_if(coming_.begin(), coming_.end(),
                                           [&](request const& r) { return r.whole || !whole; });
            if (next != coming_.end()) {
                stream_ = next->stream;
                given_up_ = false;
                said_.begin(next->head.starts_with("HEAD "));
                auto text = std::move(next->head);
                body_ = std::move(next->body);
                coming_.erase(next);
                return whole ? text + std::exchange(body_, {}) : text;
            }
            if (!lives_ || !read_frame()) return std::nullopt;
        }
    }
    std::string read_some() {
        while (body_.empty() && !given_up_ && read_frame()) {
        }
        return std::exchange(body_, {});
    }
    bool write(std::string_view text) { return !given_up_ && said_.put(text, *this); }
    bool end_answer() { return said_.end(*this); }
    bool stall() {
        while (!given_up_)
            if (!read_frame()) return false;
        return true;
    }
    bool given_up() const noexcept { return given_up_; }
    std::uint32_t stream() const noexcept { return stream_; }

private:
    struct request {
        std::uint32_t stream;
        std::string head;
        std::string body;
        bool whole;
    };

    bool read_frame() {
        auto const f = peer_.read();
        if (!f) return lives_ = false;
        switch (f->type) {
        case h2::settings: read_settings(*f); break;
        case h2::window_update: (f->stream == 0 ? room_ : rooms_[f->stream]) += f->word_at(0); break;
        case h2::headers: block_.clear(); [[fallthrough]];
        case h2::continuation:
            block_ += f->payload;
            if (f->type == h2::headers) ends_ = f->ends_stream();
            if ((f->flags & h2::end_headers) != 0) read_head(f->stream);
            break;
        case h2::data:
            if (f->stream == stream_) body_ += f->payload;
            for (auto& r : coming_)
                if (r.stream == f->stream) {
                    r.body += f->payload;
                    r.whole = f->ends_stream();
                }
            if (!f->payload.empty()) give_back(*f);
            break;
        case h2::rst_stream:
            given_up_ = given_up_ || f->stream == stream_;
            std::erase_if(coming_, [&](request const& r) { return r.stream == f->stream; });
            break;
        default: break;
        }
        return true;
    }

    void read_settings(h2::seen_frame const& f) {
        constexpr std::size_t each = 6;
        for (std::size_t i = 0; i + each <= f.payload.size(); i += each) {
            if (f.payload[i] != 0 || f.payload[i + 1] != h2::initial_window_size) continue;
            auto const change = static_cast<std::int64_t>(f.word_at(i + 2)) - window_;
            window_ += change;
            for (auto& [stream, room] : rooms_) room += change;
        }
    }

    void read_head(std::uint32_t stream) {
        auto const* in = reinterpret_cast<std::uint8_t const*>(block_.data());
        auto left = block_.size();
        std::string method, path, host, fields;
        for (int flags = 0; (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;) {
            nghttp2_nv f{};
            flags = 0;
            auto const n = nghttp2_hd_inflate_hd2(inflater_, &f, &flags, in, left, 1);
            if (n < 0) throw std::logic_error("the client's head cannot be read");
            in += n;
            left -= static_cast<std::size_t>(n);
            if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0) continue;
            std::string name(reinterpret_cast<char const*>(f.name), f.namelen);
            std::string const value(reinterpret_cast<char const*>(f.value), f.valuelen);
            if (name == ":method") method = value;
            else if (name == ":path") path = value;
            else if (name == ":authority") host = value;
            else if (name.front() != ':') fields += as_in_text(std::move(name)) + ": " + value + "\r\n";
        }
        nghttp2_hd_inflate_end_headers(inflater_);
        if (stream > last_) return;
        rooms_[stream] = window_;
        auto text = method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n";
        coming_.push_back({stream, std::move(text), {}, ends_});
    }

    /// "User-Agent"
    static std::string as_in_text(std::string name) {
        bool begins = true;
        for (auto& c : name) {
            if (begins) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            begins = c == '-';
        }
        return name;
    }

    void give_back(h2::seen_frame const& f) {
        auto const n = static_cast<std::uint32_t>(f.payload.size());
        peer_.write(h2::window_frame(0, n) + (f.ends_stream() ? std::string() : h2::window_frame(f.stream, n)));
    }

    bool on_head(h2::fields const& head, bool closes, bool last) override {
        std::string leaving;
        if (closes) {
            last_ = stream_;
            leaving = h2::goaway_frame(last_, h2::no_error);
            std::erase_if(coming_, [&](request const& r) { return r.stream > last_; });
        }
        return peer_.write(leaving + h2::headers_frame(stream_, head, last));
    }
    bool on_body(std::string_view piece, bool last) override {
        do {
            auto& room = rooms_[stream_];
            while (!piece.empty() && std::min(room, room_) <= 0)
                if (!read_frame() || given_up_) return false;
            constexpr std::int64_t most = 16384;
            auto const n = std::min(piece.size(),
                                    static_cast<std::size_t>(std::max<std::int64_t>(0, std::min({room, room_, most}))));
            room -= static_cast<std::int64_t>(n);
            room_ -= static_cast<std::int64_t>(n);
            if (!peer_.write(h2::data_frame(stream_, piece.substr(0, n), last && n == piece.size()))) return false;
            piece.remove_prefix(n);
        } while (!piece.empty());
        return true;
    }
    bool on_trailers(h2::fields const& all) override { return peer_.write(h2::headers_frame(stream_, all, true)); }

    h2_peer peer_;
    nghttp2_hd_inflater* inflater_ = nullptr;
    answer_text said_;
    std::deque<request> coming_;
    std::string body_;  // of the request that is answered, as far as it came behind its head
    std::string block_;
    bool ends_ = false;                        // the request whose head is coming
    std::uint32_t stream_ = 0;                 // that is answered
    std::uint32_t last_ = h2::last_stream_id;  // that is
    std::int64_t window_ = 65535;
    std::int64_t room_ = 65535;
    std::map<std::uint32_t, std::int64_t> rooms_;
    bool given_up_ = false;
    bool lives_ = false;
};

/** The server's end of one connection behind its handshake, in the words of HTTP/1.1 whichever version it speaks, so that one
    description of a scene serves both: a request is read, and an answer written, as the text that it would be there. Over HTTP/2 a
    head is HEADERS, a body DATA within the client's windows, its end END_STREAM and `Connection: close` a GOAWAY. */
class http_peer {
public:
    explicit http_peer(tls_peer& p) : tls_(p) {
        unsigned char const* chosen = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(p.ssl(), &chosen, &size);
        if (std::string_view(reinterpret_cast<char const*>(chosen), size) == "h2")
            http2_ = std::make_unique<http2_words>(p);
    }

    tls_peer& tls() noexcept { return tls_; }

    /// Head and body of the next request; nullopt when the client closes, or says nothing for 10 s.
    std::optional<std::string> read_request() { return http2_ ? http2_->read_request(true) : tls_.read_request(); }
    /// Its head alone: the body may still be coming, and is not of interest.
    std::optional<std::string> read_head() { return http2_ ? http2_->read_request(false) : tls_.read_head(); }
    /// Some of the body behind that; empty: no more comes.
    std::string read_some() { return http2_ ? http2_->read_some() : tls_.read_some(); }
    bool write(std::string_view text) { return http2_ ? http2_->write(text) : tls_.write(text); }
    /// Of a body that has neither a length nor chunks. @return whether the connection lives on.
    bool end_answer() {
        if (http2_) return http2_->end_answer();
        tls_.close_notify();
        return false;
    }
    /// Says nothing until the client gives the exchange up. @return whether the connection lives on.
    bool stall() {
        if (http2_) return http2_->stall();
        tls_.stall();
        return false;
    }
    /// The client gave up the exchange that is being answered, and not the connection with it.
    bool given_up() const noexcept { return http2_ && http2_->given_up(); }
    /// What of an answer's text comes on the wire.
    std::string rendered(std::string_view text) const {
        return http2_ ? in_frames(text, http2_->stream()) : std::string(text);
    }

private:
    tls_peer& tls_;
    std::unique_ptr<http2_words> http2_;
};

/// For tls_server: the version that clients of this run speak.
inline void choose_version_of_this_run(SSL_CTX* c) {
    if (http_of_this_run() == http_versions::http2) choose_http2(c);
}
inline bool over_http2() { return http_of_this_run() == http_versions::http2; }

}  // namespace jirapool::wire_test
