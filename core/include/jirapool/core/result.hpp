#pragma once

#include <jirapool/core/error.hpp>

#include <boost/system/result.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace jirapool {

class explanation;

/// Where a call was when something happened to it; its time is counted by stage as well. In the order of the road.
enum class stage : std::uint8_t {
    check,       ///< before anything: the request itself
    admit,       ///< waiting for the limiter's permit
    token,       ///< waiting for an access token
    lease,       ///< waiting for a channel (dialling included, as the pool dials behind the queue)
    write,       ///< sending the request
    first_byte,  ///< sent, nothing of the answer read yet
    body,        ///< reading the answer
    backoff,     ///< between two exchanges
};
inline constexpr std::size_t stage_count = 8;

/// The stage's name, "first_byte", which is also a metric's label.
char const* to_string(stage s) noexcept;

/** An error_code with what is known about it. Holds no secret.

    `result::error()` of a const result is a copy: `auto const why = r.error();`, then look at that.

    @par Threads   A value. */
class failure {
public:
    failure() = default;
    failure(error_code code) : code_(code) {}  // NOLINT(google-explicit-constructor): lets `return errc::x;` work
    failure(errc code) : code_(code) {}        // NOLINT(google-explicit-constructor)
    failure(errc code, std::string rule) : code_(code) { at_text().rule = std::move(rule); }
    failure(failure const& other)
        : code_(other.code_),
          text_(other.text_ ? std::make_unique<text>(*other.text_) : nullptr),
          retry_after_(other.retry_after_),
          status_(other.status_),
          stage_(other.stage_),
          maybe_processed_(other.maybe_processed_) {}
    failure(failure&&) noexcept = default;
    failure& operator=(failure const& other) { return *this = failure(other); }
    failure& operator=(failure&&) noexcept = default;
    ~failure() = default;

    /// What went wrong: an errc, or a code of the system's. Compare it with an `advice` to decide what to do.
    error_code code() const noexcept { return code_; }

    /// The rule that was broken, or what the operating system or peer said. It is a sentence's end: "must be a UUID".
    std::string const& rule() const& noexcept { return seen().rule; }
    std::string rule() && noexcept { return taken(&text::rule); }
    /// The field of the configuration or the argument that it is about; empty when it is about none.
    std::string const& field() const& noexcept { return seen().field; }
    std::string field() && noexcept { return taken(&text::field); }
    /// The id of the connection; empty when none is known.
    std::string const& connection() const& noexcept { return seen().connection; }
    std::string connection() && noexcept { return taken(&text::connection); }
    /// Whom the network's errors are about: "acme.atlassian.net", with " at 127.0.0.1" when client_params::connect_to says so, and
    /// ":443" when it is about a dial. Empty when they are about nobody.
    std::string const& peer() const& noexcept { return seen().peer; }
    std::string peer() && noexcept { return taken(&text::peer); }
    /// The HTTP status of the answer that it is about; 0 when it is about none.
    int status() const noexcept { return status_; }
    /// Jira's id of the exchange (`atl-traceid`), for a support request; empty when no answer came.
    std::string const& trace_id() const& noexcept { return seen().trace_id; }
    std::string trace_id() && noexcept { return taken(&text::trace_id); }
    /// Where the call was.
    jirapool::stage stage() const noexcept { return stage_; }
    /// Whether Jira may have acted on the request. False says that it surely did not, or that the request changes nothing (GET,
    /// HEAD, a POST that reads). True says that nobody knows: send a write again only after looking.
    bool maybe_processed() const noexcept { return maybe_processed_; }
    /// How long from now a new call would fail the same way, when that is known.
    std::optional<std::chrono::milliseconds> retry_after() const noexcept { return retry_after_; }

    /// Where the call's time went, when its request asked for it; else null.
    std::shared_ptr<jirapool::explanation const> const& explanation() const& noexcept { return seen().explanation; }
    std::shared_ptr<jirapool::explanation const> explanation() && noexcept { return taken(&text::explanation); }

    // Those of words may throw bad_alloc.
    failure with_rule(std::string v) && { return std::move(*this).with(&text::rule, std::move(v)); }
    failure with_field(std::string v) && { return std::move(*this).with(&text::field, std::move(v)); }
    failure with_connection(std::string v) && { return std::move(*this).with(&text::connection, std::move(v)); }
    failure with_peer(std::string v) && { return std::move(*this).with(&text::peer, std::move(v)); }
    failure with_status(int v) && noexcept {
        status_ = v;
        return std::move(*this);
    }
    failure with_trace_id(std::string v) && { return std::move(*this).with(&text::trace_id, std::move(v)); }
    failure at(jirapool::stage s) && noexcept {
        stage_ = s;
        return std::move(*this);
    }
    failure with_maybe_processed(bool v) && noexcept {
        maybe_processed_ = v;
        return std::move(*this);
    }
    failure with_retry_after(std::chrono::milliseconds v) && noexcept {
        retry_after_ = v;
        return std::move(*this);
    }

    failure with_explanation(std::shared_ptr<jirapool::explanation const> v) && {
        return std::move(*this).with(&text::explanation, std::move(v));
    }

    /// All of it in one line, fit for logs: "connection 'acme': site_url: must be https://NAME.atlassian.net [invalid_field]".
    std::string describe() const;

private:
    struct text {
        std::string rule;
        std::string field;
        std::string connection;
        std::string peer;
        std::string trace_id;
        std::shared_ptr<jirapool::explanation const> explanation;
    };
    static text const& no_text() noexcept;
    text const& seen() const noexcept { return text_ ? *text_ : no_text(); }
    text& at_text() {
        if (!text_) text_ = std::make_unique<text>();
        return *text_;
    }
    template <class T>
    T taken(T text::* member) noexcept {
        return text_ ? std::move(*text_.*member) : T();
    }
    template <class T>
    failure with(T text::* member, T v) && {
        at_text().*member = std::move(v);
        return std::move(*this);
    }

    error_code code_;
    std::unique_ptr<text>
        text_;  // what a failure says: most results are none, and a result is moved on each step of a call's road
    std::optional<std::chrono::milliseconds> retry_after_;
    int status_ = 0;
    jirapool::stage stage_ = jirapool::stage::check;
    bool maybe_processed_ = false;
};

/// What `result::value()` throws when there is none: a boost::system::system_error whose text is `describe()`.
[[noreturn]] void throw_exception_from_error(failure const& f, boost::source_location const& where);

/// A value, or why there is none. `r.value()` throws on misuse only; look first: `if (r) … else r.error()`.
template <class T>
using result = boost::system::result<T, failure>;

}  // namespace jirapool
