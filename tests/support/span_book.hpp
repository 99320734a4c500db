#pragma once

#include <jirapool/pool/spans.hpp>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace jirapool::support {

/** A listener that keeps what it is told, gives each span a traceparent of its own, and sees that each start has one end.

    @par Threads   Any, but for what is set before. */
class span_book final : public span_listener {
public:
    struct record {
        span_start::kind what = span_start::kind::call;
        std::uint64_t id = 0;
        std::uint64_t call = 0;
        std::string around;  ///< span_start::traceparent
        std::string state;
        std::string own;
        std::map<std::string, std::string> known;  ///< the attributes of start and end
        bool sent = false;
        bool ended = false;
        std::string of(std::string const& name) const {
            auto const found = known.find(name);
            return found == known.end() ? "" : found->second;
        }
    };

    /// `keep`: also those that have ended.
    explicit span_book(bool keep = true) : keep_(keep) {}

    // To be set before.
    bool gives_own = true;
    std::function<void(span_start const&)> on_start;
    std::function<void(record const&)> on_end;

    std::unique_ptr<open_span> start(span_start const& s) override {
        record r;
        r.what = s.what;
        r.id = s.id;
        r.call = s.call;
        r.around = s.traceparent;
        r.state = s.tracestate;
        if (gives_own) r.own = own_of(s);
        {
            std::lock_guard const lock(mutex_);
            add(r, s.attributes);
            if (s.id == 0 || records_.contains(s.id)) note("an id is not unique");
            bool const call = s.what == span_start::kind::call;
            auto const around = records_.find(s.call);
            if (call != (s.id == s.call)) note("an id is not that of its call");
            else if (!call && (around == records_.end() || around->second.ended))
                note("an exchange outside of its call");
            else if (!call && around->second.own != s.traceparent && gives_own)
                note("an exchange has another parent than its call");
            ++(call ? calls_ : exchanges_);
            records_.emplace(s.id, r);
        }
        if (on_start) on_start(s);
        return std::make_unique<kept>(*this, s.id, r.own);
    }

    /// An exchange begins on the wire with that traceparent.
    void on_sent(std::string_view traceparent) {
        std::lock_guard const lock(mutex_);
        for (auto& [id, r] : records_) {
            if (r.own != traceparent || r.ended || r.what != span_start::kind::exchange) continue;
            if (std::exchange(r.sent, true)) note("an exchange's traceparent was sent twice");
            return;
        }
        note("a request was sent outside of all spans");
    }

    std::uint64_t calls() const { return read(calls_); }
    std::uint64_t exchanges() const { return read(exchanges_); }
    std::uint64_t open() const { return read(calls_) + read(exchanges_) - read(ended_); }
    std::vector<std::string> problems() const { return read(problems_); }
    /// In the order of their starts.
    std::vector<record> all() const {
        std::lock_guard const lock(mutex_);
        std::vector<record> copy;
        for (auto const& [id, r] : records_) copy.push_back(r);
        return copy;
    }

private:
    class kept final : public open_span {
    public:
        kept(span_book& b, std::uint64_t id, std::string own) : book_(b), id_(id), own_(std::move(own)) {}
        ~kept() override {
            if (!ended_) book_.note_now("a span has no end");
        }
        std::string_view traceparent() const noexcept override { return own_; }
        void end(std::span<span_attribute const> attributes) override {
            if (std::exchange(ended_, true)) book_.note_now("a span ended twice");
            else book_.ended(id_, attributes);
        }

    private:
        span_book& book_;
        std::uint64_t const id_;
        std::string const own_;
        bool ended_ = false;
    };

    static std::string own_of(span_start const& s) {
        char own[56];
        auto const trace = s.traceparent.empty() ? std::string("0af7651916cd43dd8448eb211c80319c")
                                                 : std::string(s.traceparent.substr(3, 32));
        std::snprintf(own, sizeof own, "00-%s-%016llx-01", trace.c_str(), static_cast<unsigned long long>(s.id));
        return own;
    }

    void ended(std::uint64_t id, std::span<span_attribute const> attributes) {
        record r;
        {
            std::lock_guard const lock(mutex_);
            auto const found = records_.find(id);
            add(found->second, attributes);
            found->second.ended = true;
            ++ended_;
            r = found->second;
            if (r.known.contains("http.response.status_code") == (r.of("error.type").size() > 3))
                note("a span's end has neither an answer nor an error, or both");
            if (!keep_) records_.erase(found);
        }
        if (on_end) on_end(r);
    }

    /// With the lock.
    void add(record& to, std::span<span_attribute const> attributes) {
        for (auto const& a : attributes) {
            auto const* const text = std::get_if<std::string_view>(&a.value);
            auto value = text != nullptr ? std::string(*text) : std::to_string(std::get<std::int64_t>(a.value));
            if (value.find('?') != std::string::npos || value.find("A-1") != std::string::npos)
                note("a span has what a target says: " + value);
            if (!to.known.emplace(a.name, std::move(value)).second)
                note("an attribute stands twice: " + std::string(a.name));
        }
    }
    void note(std::string what) {
        if (problems_.size() < 10) problems_.push_back(std::move(what));
    }
    void note_now(char const* what) {
        std::lock_guard const lock(mutex_);
        note(what);
    }
    template <class T>
    T read(T const& value) const {
        std::lock_guard const lock(mutex_);
        return value;
    }

    bool const keep_;
    mutable std::mutex mutex_;
    std::map<std::uint64_t, record> records_;
    std::uint64_t calls_ = 0;
    std::uint64_t exchanges_ = 0;
    std::uint64_t ended_ = 0;
    std::vector<std::string> problems_;
};

}  // namespace jirapool::support
