#pragma once

#include <jirapool/core/error.hpp>
#include <jirapool/core/labels.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/response.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/pool/spans.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace jirapool::detail {

struct connection_entry;

/// A traceparent, or none.
class traceparent_text {
public:
    /// One that must not be sent counts as none.
    void set(std::string_view text) noexcept;
    std::string_view view() const noexcept { return {text_.data(), size_}; }

private:
    std::array<char, 55> text_{};
    std::uint8_t size_ = 0;
};

/// A span that a listener wants to know of, or none. It ends once: at the latest when this is destroyed, with errc::stopped.
class begun_span {
public:
    begun_span() = default;
    begun_span(begun_span const&) = delete;
    begun_span& operator=(begun_span const&) = delete;
    ~begun_span();

    void begin(span_listener& l, span_start const& s) noexcept;
    /// Does nothing when it has ended. `answer`: null where there is none.
    void end(error_code const& why_none, response const* answer, std::optional<unsigned> exchanges = {}) noexcept;
    std::string_view traceparent() const noexcept { return own_.view(); }

private:
    std::unique_ptr<open_span> span_;
    traceparent_text own_;
};

class call_spans;

/// The span of one exchange.
class exchange_span {
public:
    /// `resends`: how often the request was sent before. @return the traceparent to send; empty: the request's own, if it has one.
    std::string_view begin(call_spans const& of, request const& r, std::string_view version, unsigned resends,
                           std::optional<resend_reason> reason) noexcept;
    void end(error_code const& why_none, response const& answer) noexcept {
        span_.end(why_none, why_none ? nullptr : &answer);
    }

private:
    begun_span span_;
};

/** What client_params::spans is told of one call. It is made only where there is a listener, and shared with the call's hedge,
    which may end behind it. */
class call_spans {
public:
    /// The call begins. Null: there was no memory for its spans. `e` must outlive them.
    static std::shared_ptr<call_spans> begin(std::shared_ptr<span_listener> const& l, connection_entry const& e,
                                             request const& r, route_id route) noexcept;
    call_spans(std::shared_ptr<span_listener> l, connection_entry const& e, method m, route_id route) noexcept;

    void end(error_code const& why_none, response const& answer, unsigned exchanges) noexcept {
        call_.end(why_none, why_none ? nullptr : &answer, exchanges);
    }
    /// The call is destroyed before its end: what is open ends now.
    void abandon() noexcept;

    /// Empty: nobody gave one.
    std::string_view traceparent() const noexcept { return around_exchanges_.view(); }

    /// The exchange of the call's own road; a hedge has its own beside it.
    exchange_span exchange;

private:
    friend class exchange_span;

    std::shared_ptr<span_listener> const listener_;
    connection_entry const& entry_;
    jirapool::method const method_;
    route_id const route_;
    std::uint64_t const id_;
    traceparent_text around_exchanges_;
    begun_span call_;
};

}  // namespace jirapool::detail
