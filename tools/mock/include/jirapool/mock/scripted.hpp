#pragma once

#include <jirapool/mock/http2.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::mock {

/// Where a request's headers are. A name is matched in any case.
class header_lookup {
public:
    virtual ~header_lookup() = default;
    /// Empty if the header is absent.
    virtual std::string_view find(std::string_view name) const = 0;
};

/// A request as it arrived. The views end with the call that got it.
class request_view {
public:
    std::string_view header(std::string_view name) const { return headers ? headers->find(name) : std::string_view(); }

    /// "GET".
    std::string_view method;
    /// Path and query as sent.
    std::string_view target;
    /// The Host header, or `:authority`, without its port.
    std::string_view host;
    /// The name asked for in the TLS handshake; empty if none.
    std::string_view sni;
    std::string_view body;
    /// Counts the server's TCP connections from 1.
    std::uint64_t connection = 0;
    /// Counts the requests of this TCP connection from 1: above 1, the connection was reused.
    std::uint64_t request = 0;
    /// The stream of an HTTP/2 request; 0: it came by HTTP/1.1.
    std::uint32_t stream = 0;
    header_lookup const* headers = nullptr;
};

/// What a test wants to be sent. `Content-Length` and `Date` are added unless `headers` or `raw` say otherwise.
class scripted_reply {
public:
    scripted_reply() = default;
    explicit scripted_reply(int code, std::string text = {}) : status(code), body(std::move(text)) {}

    int status = 200;
    /// `Content-Length` or `Transfer-Encoding` here: sent as they are, right or wrong, and none is added.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    /// Before the first byte.
    std::chrono::milliseconds delay{0};
    /// Sent as it is in place of an HTTP answer (even if empty). Over HTTP/2: whole frames, of request_view::stream or another.
    std::optional<std::string> raw;
    /// Sends only so many bytes of the answer, as it is in HTTP/1.1, then closes. Over HTTP/2: as much of the body, or a part of
    /// the head.
    std::optional<std::size_t> close_after_bytes;
    /// Closes the connection after the answer, without announcing it. Over HTTP/2 too: with all streams that it has.
    bool close = false;
    /// However it is closed: by a TCP reset, not in good order.
    bool reset = false;
    /// Sends nothing and keeps the connection open until the client closes it (at most 10 min). Over HTTP/2 other streams are answered.
    bool never_answer = false;
    /// What goes wrong with this answer, if it goes over HTTP/2.
    std::optional<http2_step> http2;
};

/** Called for each request before anything else; nullopt lets the mock answer.

    @par Threads   Called by all the server's threads at the same time. Must not call the server's start(), stop(), down() or up(). */
using intercept_function = std::function<std::optional<scripted_reply>(request_view const&)>;

}  // namespace jirapool::mock
