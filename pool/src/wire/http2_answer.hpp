#pragma once

#include "exchange/answer_body.hpp"

#include <jirapool/core/response.hpp>
#include <jirapool/core/result.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace jirapool::detail {

/** One stream's answer (RFC 9113, section 8.1): fields and data in, a response out: interim answers skipped, trailers dropped, everything
    bounded. Sans-I/O.

    As strict as the reader of HTTP/1.1: what two readers may read differently is no answer. Blanks around a value, which servers behind
    gateways leave there, mean nothing to anybody and are taken off.

    What returns false is the end of it: `error` says why. All may throw bad_alloc. */
class http2_answer {
public:
    /// `out` is filled in, and must be empty; it and `limits` outlive this.
    http2_answer(response& out, answer_limits const& limits, answer_expectation e) noexcept;

    void begin_block() noexcept;
    bool put_field(std::string_view name, std::string_view value);
    /// `last`: nothing follows.
    bool end_block(bool last);
    bool put_data(std::string_view bytes);
    /// Nothing follows.
    bool end();

    bool has_head() const noexcept { return has_head_; }
    bool streams() const noexcept { return has_head_ && body_.streams(); }
    content_coding coding() const noexcept { return body_.coding(); }
    failure const& error() const noexcept { return error_; }

private:
    bool refuse(char const* rule, errc code = errc::protocol_error);
    bool has_no_body() const noexcept;
    bool put_status(std::string_view value);
    bool put_length(std::string_view value);

    response& out_;
    answer_limits const& limits_;
    answer_expectation const expected_;
    answer_body body_;
    failure error_;
    std::optional<std::uint64_t> length_;
    std::uint64_t received_ = 0;
    std::size_t head_size_ = 0;
    std::uint32_t fields_ = 0;
    int interim_ = 0;
    bool has_head_ = false;
    bool has_status_ = false;  // of the block
    bool in_fields_ = false;   // of the block, behind what begins with a colon
};

}  // namespace jirapool::detail
