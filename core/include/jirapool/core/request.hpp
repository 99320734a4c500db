#pragma once

#include <jirapool/core/error.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool {

/// The methods that Jira knows.
enum class method : std::uint8_t { get, head, post, put, patch, delete_ };
inline constexpr std::size_t method_count = 6;

/// The method as it is sent: "GET".
std::string_view to_string(method m) noexcept;

/// Who goes first when a site's limit makes calls wait: everything interactive before anything in the background.
enum class priority : std::uint8_t { interactive, background };
inline constexpr std::size_t priority_count = 2;
/// The enumerator's name, as a metric's label has it.
char const* to_string(priority p) noexcept;

/// What a request is made for.
enum class call_purpose : std::uint8_t {
    answer,  ///< somebody wants its answer
    check,   ///< to learn whether the connection works: request::check
};

/** What to ask of Jira: a value, built in one expression.

    `request::put("/rest/api/3/issue/ABC-1").json(body).timeout(5s)`

    The target is an absolute path with an optional query, already percent-encoded, without the gateway's
    `/ex/jira/<cloudId>`: the connection adds that. A request is checked when its call starts (errors invalid_target,
    invalid_header, body_not_allowed). */
class request {
public:
    request(jirapool::method m, std::string target) : target_(std::move(target)), method_(m) {}

    static request get(std::string target) { return {jirapool::method::get, std::move(target)}; }
    static request head(std::string target) { return {jirapool::method::head, std::move(target)}; }
    static request post(std::string target) { return {jirapool::method::post, std::move(target)}; }
    static request put(std::string target) { return {jirapool::method::put, std::move(target)}; }
    static request patch(std::string target) { return {jirapool::method::patch, std::move(target)}; }
    static request delete_(std::string target) { return {jirapool::method::delete_, std::move(target)}; }

    /** A check of the connection: `GET /rest/api/3/myself`, which Jira answers to nobody whose credential it does not know. It is
        sent also while a refused credential rests, and what is answered decides on connection::status. `connection::verify` makes
        one; with async_call it is the same for any completion token. */
    static request check() {
        request r(jirapool::method::get, "/rest/api/3/myself");
        r.purpose_ = call_purpose::check;
        return r;
    }

    /// Adds a header. Host, User-Agent (client_params::user_agent), Authorization, Cookie, Origin, Referer, Connection and the framing
    /// headers belong to the library, and none overrides the method: such a call ends with invalid_header. `Accept` takes
    /// the place of `application/json`; with `Accept-Encoding` the body is delivered as it comes, coded or not.
    request header(std::string name, std::string value) && {
        headers_.emplace_back(std::move(name), std::move(value));
        return std::move(*this);
    }
    /// Sets the body and `Content-Type: application/json`, which a POST, PUT or PATCH without a body says by itself.
    request json(std::string body) && { return std::move(*this).body(std::move(body), "application/json"); }
    /// Sets a body of any kind and its `Content-Type`. Of a body that is streamed only the type counts.
    request body(std::string body, std::string content_type) && {
        body_ = std::move(body);
        content_type_ = std::move(content_type);
        return std::move(*this);
    }
    /// Sets how long the call may last, from its start to the end of the answer, all waits and resends included. Without it the
    /// connection's options say.
    request timeout(std::chrono::milliseconds t) && {
        timeout_ = t;
        return std::move(*this);
    }
    /// Sets who goes first among the site's calls that wait for a limit; interactive unless it is set.
    request priority(jirapool::priority p) && {
        priority_ = p;
        return std::move(*this);
    }
    /// Says whether this one request may be sent twice, whatever the table says (core/doc/0001-who-may-be-sent-twice.md).
    request resendable(bool yes) && {
        resendable_ = yes;
        return std::move(*this);
    }

    /// Makes the call part of a trace of the caller's: sent as `traceparent` with each of its exchanges
    /// (https://www.w3.org/TR/trace-context/), unless a listener gives them their own (span_listener). Empty: without one. One that
    /// why_invalid_traceparent (core/trace_context.hpp) refuses ends the call with invalid_header.
    request traceparent(std::string value) && {
        set_header("traceparent", std::move(value));
        return std::move(*this);
    }
    /// Sends on what `tracestate` came with that traceparent. Empty: none. One without a traceparent ends the call with invalid_header,
    /// as does one that why_invalid_tracestate refuses.
    request tracestate(std::string value) && {
        set_header("tracestate", std::move(value));
        return std::move(*this);
    }

    /// Has the response or failure say where the time went (core/explanation.hpp), which costs two or three allocations.
    request explain(bool yes = true) && {
        explain_ = yes;
        return std::move(*this);
    }

    jirapool::method method() const noexcept { return method_; }
    std::string const& target() const noexcept { return target_; }
    std::vector<std::pair<std::string, std::string>> const& headers() const noexcept { return headers_; }
    std::string const& body() const noexcept { return body_; }
    std::string const& content_type() const noexcept { return content_type_; }
    std::optional<std::chrono::milliseconds> timeout() const noexcept { return timeout_; }
    jirapool::priority priority() const noexcept { return priority_; }
    std::optional<bool> resendable() const noexcept { return resendable_; }
    bool explains() const noexcept { return explain_; }
    call_purpose purpose() const noexcept { return purpose_; }

private:
    void set_header(std::string_view lower_case, std::string value);

    std::string target_;
    std::vector<std::pair<std::string, std::string>> headers_;
    std::string body_;
    std::string content_type_;
    std::optional<std::chrono::milliseconds> timeout_;
    std::optional<bool> resendable_;
    jirapool::method method_;
    jirapool::priority priority_ = jirapool::priority::interactive;
    call_purpose purpose_ = call_purpose::answer;
    bool explain_ = false;
};

/** Checks what a caller wrote before any of it can reach the wire: the target stays inside the connection's base path
    (no `.` or `..` segment in any encoding, no encoded slash or backslash in the path, no `//`, no absolute form, no
    control character, space, `#` or any other character that RFC 3986 does not allow, only UTF-8 behind the percent signs of its
    path) and is at most 8,000 bytes, headers hold no control character, are not the library's own, override no method and do not
    repeat the body's Content-Type, traceparent and tracestate stand once and are as W3C's Trace Context says, GET and HEAD have no body.

    @return nullptr when fit to send, else the broken rule (a literal) and through `code` the errc. */
char const* why_invalid(request const& r, errc& code) noexcept;

}  // namespace jirapool
