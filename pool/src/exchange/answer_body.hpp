#pragma once

#include "exchange/content_decoder.hpp"

#include <jirapool/core/response.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

namespace jirapool::detail {

/// What an answer may cost.
struct answer_limits {
    std::uint32_t max_head = 0;
    std::uint32_t max_headers = 0;
    std::uint64_t max_body = 0;
    std::uint32_t max_ratio = 1;
};

/// What the request means for its answer.
struct answer_expectation {
    bool head_request = false;  ///< there is no body, whatever the head says
    bool decode = false;        ///< gzip and brotli are taken off; otherwise a body is delivered as it came
    bool secret = false;        ///< there is a token in it: what decodes it wipes its memory
    /// Says of a head whether its body is only passed through: neither bounded nor decoded here. Null: of none.
    bool (*to_sink)(response const& head) noexcept = nullptr;
};

/** The body of an answer on its way into the response: bounded and decoded there, or left as it came for a sink to take. Sans-I/O, and the
    same for all versions of HTTP. */
class answer_body {
public:
    using problem = content_decoder::problem;

    /// `limits` must outlive it.
    answer_body(response& out, answer_limits const& limits, answer_expectation e) noexcept
        : out_(&out), limits_(&limits), expected_(e) {}

    /// The value of a Content-Encoding; of several, one after the other.
    void read_coding(std::string_view value) noexcept;
    /// The head is whole. `announced`: what Content-Length says, 0 when it says nothing.
    problem begin(std::uint64_t announced);
    problem put(std::string_view bytes);
    problem finish();

    /// The body is one that is passed through: whoever reads takes it out of the response bit by bit.
    bool streams() const noexcept { return streams_; }
    /// What it is to be decoded from then.
    content_coding coding() const noexcept { return coding_; }

private:
    response* out_;
    answer_limits const* limits_;
    answer_expectation expected_;
    std::unique_ptr<content_decoder> decoder_;
    std::uint64_t received_ = 0;
    content_coding coding_ = content_coding::identity;
    bool unknown_coding_ = false;
    bool streams_ = false;
};

}  // namespace jirapool::detail
