#include "engine/call_spans.hpp"

#include "engine/connection_entry.hpp"

#include <jirapool/core/trace_context.hpp>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <charconv>
#include <new>
#include <span>
#include <utility>

namespace jirapool::detail {

namespace {

/// The most of a start: five of any span, and three of an exchange.
class attribute_list {
public:
    void add(std::string_view name, std::variant<std::string_view, std::int64_t> value) noexcept {
        assert(count_ < all_.size());
        all_[count_++] = {name, value};
    }
    std::span<span_attribute const> all() const noexcept { return {all_.data(), count_}; }

private:
    std::array<span_attribute, 8> all_;
    std::size_t count_ = 0;
};

/// Also of several clients, which may have one listener.
std::uint64_t next_id() noexcept {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

/// Few words for many errors, as whoever groups by them needs.
std::string_view type_of(error_code const& ec) noexcept {
    if (ec.category() == jirapool_category()) return to_string(static_cast<errc>(ec.value()));
    if (ec == boost::system::errc::not_enough_memory) return "not_enough_memory";
    return ec.category().name();  // a code of the caller's own sink or source
}

void add_common(attribute_list& to, connection_entry const& e, method m, route_id r) noexcept {
    to.add("http.request.method", to_string(m));
    auto const name = route(r).name;
    auto const path = name.substr(std::min(name.find('/'), name.size()));  // none in "GET other"
    if (!path.empty()) to.add("url.template", path);
    to.add("server.address", e.host());
    to.add("server.port", std::int64_t{443});
    to.add("jirapool.connection", std::string_view(e.id));
}

std::string_view header_of(request const& r, std::string_view lower_case) noexcept {
    auto const same = [](char lower, char c) { return lower == (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); };
    for (auto const& [name, value] : r.headers())
        if (std::equal(lower_case.begin(), lower_case.end(), name.begin(), name.end(), same)) return value;
    return {};
}

}  // namespace

void traceparent_text::set(std::string_view text) noexcept {
    size_ = 0;
    if (why_invalid_traceparent(text) != nullptr) return;
    std::copy(text.begin(), text.end(), text_.begin());
    size_ = static_cast<std::uint8_t>(text.size());
}

begun_span::~begun_span() { end(errc::stopped, nullptr); }

void begun_span::begin(span_listener& l, span_start const& s) noexcept {
    own_.set({});
    try {
        span_ = l.start(s);
    } catch (...) {
        return;  // the user's, who was told that it counts as none
    }
    if (span_) own_.set(span_->traceparent());
}

void begun_span::end(error_code const& why_none, response const* answer, std::optional<unsigned> exchanges) noexcept {
    // Taken out: whatever the listener does now cannot end it again.
    auto const ending = std::move(span_);
    if (!ending) return;
    attribute_list with;
    std::array<char, 12> status{};
    if (answer != nullptr) {
        with.add("http.response.status_code", std::int64_t{answer->status()});
        if (!answer->trace_id().empty()) with.add("jira.trace_id", answer->trace_id());
        auto* const last = std::to_chars(status.data(), status.data() + status.size(), answer->status()).ptr;
        if (answer->status() >= 400) with.add("error.type", std::string_view(status.data(), last));
    } else {
        with.add("error.type", type_of(why_none));
    }
    if (exchanges) with.add("jirapool.exchanges", std::int64_t{*exchanges});
    try {
        ending->end(with.all());
    } catch (...) {
        return;  // the same
    }
}

std::string_view exchange_span::begin(call_spans const& of, request const& r, std::string_view version,
                                      unsigned resends, std::optional<resend_reason> reason) noexcept {
    attribute_list with;
    add_common(with, of.entry_, of.method_, of.route_);
    with.add("network.protocol.version", version);
    if (resends > 0) with.add("http.request.resend_count", std::int64_t{resends});
    if (reason) with.add("jirapool.resend_reason", std::string_view(to_string(*reason)));
    span_start s;
    s.what = span_start::kind::exchange;
    s.id = next_id();
    s.call = of.id_;
    s.traceparent = of.traceparent();
    s.tracestate = header_of(r, "tracestate");
    s.attributes = with.all();
    span_.begin(*of.listener_, s);
    return span_.traceparent().empty() ? of.traceparent() : span_.traceparent();
}

std::shared_ptr<call_spans> call_spans::begin(std::shared_ptr<span_listener> const& l, connection_entry const& e,
                                              request const& r, route_id route) noexcept {
    std::shared_ptr<call_spans> made;
    try {
        made = std::make_shared<call_spans>(l, e, r.method(), route);
    } catch (std::bad_alloc const&) {
        return nullptr;
    }
    made->around_exchanges_.set(header_of(r, "traceparent"));
    attribute_list with;
    add_common(with, e, r.method(), route);
    span_start s;
    s.id = s.call = made->id_;
    s.traceparent = made->traceparent();
    s.tracestate = header_of(r, "tracestate");
    s.attributes = with.all();
    made->call_.begin(*l, s);
    if (!made->call_.traceparent().empty()) made->around_exchanges_.set(made->call_.traceparent());
    return made;
}

call_spans::call_spans(std::shared_ptr<span_listener> l, connection_entry const& e, method m, route_id route) noexcept
    : listener_(std::move(l)), entry_(e), method_(m), route_(route), id_(next_id()) {}

void call_spans::abandon() noexcept {
    exchange.end(errc::stopped, {});
    call_.end(errc::stopped, nullptr);
}

}  // namespace jirapool::detail
