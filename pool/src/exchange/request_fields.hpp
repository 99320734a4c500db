#pragma once

#include "exchange/answer_body.hpp"
#include "exchange/channel.hpp"
#include "exchange/sink_stream.hpp"
#include "exchange/source_stream.hpp"

#include <jirapool/pool/params.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

namespace jirapool::detail {

/// Whether a header's name, in any case, is this one.
inline bool is_called(std::string_view name, std::string_view lower_case) noexcept {
    return std::equal(name.begin(), name.end(), lower_case.begin(), lower_case.end(),
                      [](char c, char lower) { return (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) == lower; });
}

/// Whether the caller gave such a header.
inline bool has_header(exchange_input const& in, std::string_view lower_case) noexcept {
    if (in.headers == nullptr) return false;
    return std::any_of(in.headers->begin(), in.headers->end(),
                       [&](auto const& h) { return is_called(h.first, lower_case); });
}

// What we add must fit what the caller asks for: a Range is one of the body as it is stored, and what HEAD says of length and ETag
// that of GET. A token is better not compressed beside what an attacker may choose.
inline bool offers_compression(exchange_input const& in, wire_params const& wire) noexcept {
    return wire.compression && !in.secret_answer && in.method != method::head && !has_header(in, "range");
}

/// Of the body that the request has, wherever it comes from.
inline std::uint64_t body_size(exchange_input const& in) noexcept {
    return in.source != nullptr ? in.source->size() : in.body.size();
}

/// What Content-Length says; nullopt: the request has none.
inline std::optional<std::uint64_t> content_length_of(exchange_input const& in) noexcept {
    bool const may_have_body = in.method != method::get && in.method != method::head;
    auto const length = body_size(in);
    if (!may_have_body || (length == 0 && in.method == method::delete_)) return std::nullopt;
    return length;
}

/// What the request means for its answer.
inline answer_expectation expectation_of(exchange_input const& in) noexcept {
    answer_expectation e;
    e.head_request = in.method == method::head;
    // Also what was not asked for: edges compress all the same.
    e.decode = !has_header(in, "accept-encoding");
    e.secret = in.secret_answer;
    e.to_sink = in.sink != nullptr ? in.sink->takes() : nullptr;
    return e;
}

/// Whether a field's value may be kept for the next request by who compresses heads: that of our own making, the same for all calls;
/// what the caller gave may be anything, a secret too.
enum class field_kind : std::uint8_t { stable, of_caller, secret };

/// The request's fields but the host and Content-Length, in an order that is the same for all requests: f(name, value, kind). Names are in
/// mixed case.
template <class F>
void for_each_field(exchange_input const& in, bool compression, F&& f) {
    if (!in.user_agent.empty()) f("User-Agent", in.user_agent, field_kind::stable);
    if (!in.authorization.empty()) f("Authorization", in.authorization, field_kind::secret);
    if (!has_header(in, "accept")) f("Accept", "application/json", field_kind::stable);
    // Said in any case: who hears nothing of it may send what he likes (RFC 9110, section 12.5.3).
    if (!has_header(in, "accept-encoding"))
        f("Accept-Encoding", compression ? "gzip, br" : "identity", field_kind::stable);
    bool const traced = !in.traceparent.empty();
    if (traced) f("traceparent", in.traceparent, field_kind::of_caller);
    if (in.headers != nullptr)
        for (auto const& [name, value] : *in.headers)
            if (!traced || !is_called(name, "traceparent"))
                f(std::string_view(name), std::string_view(value), field_kind::of_caller);
    if (!in.content_type.empty()) f("Content-Type", in.content_type, field_kind::stable);
    // Jira answers 415 to a POST or PUT without one, also where there is no body (voting, watching).
    auto const length = content_length_of(in);
    if (length && *length == 0 && in.content_type.empty() && !has_header(in, "content-type"))
        f("Content-Type", "application/json", field_kind::stable);
}

}  // namespace jirapool::detail
