#pragma once

#include <jirapool/core/response.hpp>
#include <jirapool/core/result.hpp>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/version.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace jirapool::detail {

namespace beast = boost::beast;

/** Beast's response parser, filling in a jirapool::response: headers in one buffer instead of a node each, the body reserved
    from Content-Length and padded for simdjson. Sans-I/O: bytes in through `put`. */
class http1_parser final : public beast::http::basic_parser<false> {
public:
    http1_parser(response& out, std::uint32_t max_head, std::uint64_t max_body, bool head_request) : out_(out) {
        header_limit(max_head);
        body_limit(max_body);
        skip(head_request);
        eager(true);
    }

    int status() const noexcept { return out_.status(); }

private:
    using string_view = beast::string_view;
    using error_code = boost::system::error_code;
    using field = beast::http::field;

    // More than this is reserved only as it arrives: a length is only what the server says.
    static constexpr std::uint64_t max_reserve = 1u << 20;

    static std::string_view std_view(string_view s) noexcept { return {s.data(), s.size()}; }

    void on_request_impl(beast::http::verb, string_view, string_view, int, error_code&) override {}
    void on_response_impl(int code, string_view, int, error_code&) override { out_.set_status(code); }
    void on_field_impl(field, string_view name, string_view value, error_code&) override {
        out_.add_header(std_view(name), std_view(value));
    }
#if BOOST_VERSION >= 108900  // Beast calls it for trailers from then on
    // Trailers say nothing that we use.
    void on_trailer_field_impl(field, string_view, string_view, error_code&) override {}
#endif
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(boost::optional<std::uint64_t> const& length, error_code&) override {
        if (length) out_.mutable_body().reserve(static_cast<std::size_t>(std::min(*length, max_reserve)));
    }
    std::size_t on_body_impl(string_view body, error_code&) override {
        out_.mutable_body().append(body.data(), body.size());
        return body.size();
    }
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) override {
        return on_body_impl(body, ec);
    }
    void on_finish_impl(error_code&) override {}

    response& out_;
};

}  // namespace jirapool::detail
