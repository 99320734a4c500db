#pragma once

#include "support/http2_frames.hpp"

#include "wire/http2_answer.hpp"
#include "wire/http2_session.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool::test {

inline detail::answer_limits const h2_limits{4096, 32, 65536, 250};

/// What the tests' session asks for.
inline detail::http2_limits h2_session_limits() {
    detail::http2_limits l;
    l.stream_window = 65535;
    l.channel_window = 1u << 20;
    l.max_head = h2_limits.max_head;
    l.max_headers = h2_limits.max_headers;
    l.max_streams = 256;
    return l;
}

/// A stream whose answer is read as a channel's is.
class h2_reading final : public detail::http2_stream {
public:
    explicit h2_reading(detail::answer_expectation e = {}, std::string b = {})
        : answer(out, h2_limits, e), body(std::move(b)) {}

    response out;
    detail::http2_answer answer;
    std::string body;  ///< of the request; is sent as far as `ready`
    std::size_t ready = std::string::npos;
    bool keeps = false;  ///< what comes is taken later
    std::size_t held = 0;
    bool whole = false;
    bool taken = false;    ///< the request
    bool refused = false;  ///< by us
    std::optional<std::uint32_t> closed;
    bool by_server = false;
    int told_after_end = 0;

private:
    verdict judge(bool good) {
        if (whole || refused || closed) ++told_after_end;
        if (good) return verdict::good;
        refused = true;
        return answer.error().code() == errc::protocol_error ? verdict::malformed : verdict::unwanted;
    }
    verdict on_block() override {
        answer.begin_block();
        return judge(true);
    }
    verdict on_field(std::string_view name, std::string_view value) override {
        return judge(answer.put_field(name, value));
    }
    verdict on_block_end(bool last) override { return judge(answer.end_block(last)); }
    verdict on_data(std::string_view bytes) override {
        auto const v = judge(answer.put_data(bytes));
        if (v != verdict::good) return v;
        if (!keeps) return verdict::taken;
        held += bytes.size();
        return v;
    }
    verdict on_end() override {
        auto const v = judge(answer.end());
        whole = v == verdict::good;
        return v;
    }
    void on_closed(std::uint32_t code, bool server) noexcept override {
        closed = code;
        by_server = server;
    }
    void on_lack_of_memory() noexcept override { refused = true; }
    std::size_t read_body(char* to, std::size_t room, bool& last) noexcept override {
        auto const n = std::min({room, body.size(), ready});
        std::memcpy(to, body.data(), n);
        body.erase(0, n);
        if (ready != std::string::npos) ready -= n;
        last = body.empty();
        return n;
    }
    void on_request_taken() noexcept override { taken = true; }
};

inline std::string take_all(detail::http2_session& s, std::size_t room = 1u << 16) {
    std::string all;
    std::string part(room, '\0');
    while (auto const n = s.take(part.data(), room)) all.append(part, 0, n);
    return all;
}

inline std::vector<h2::seen_frame> frames_of(std::string bytes) {
    if (bytes.starts_with(h2::preface)) bytes.erase(0, h2::preface.size());
    std::vector<h2::seen_frame> all;
    while (auto f = h2::next_frame(bytes)) all.push_back(*std::move(f));
    return all;
}

}  // namespace jirapool::test
