#include "exchange/answer_body.hpp"

#include <algorithm>

namespace jirapool::detail {

namespace {

constexpr answer_body::problem over_max_body{"the body is over wire_params::max_body", errc::response_too_large};

}  // namespace

// One layer is taken off, however many headers and words say so. What is more, or unknown ("zstd", or "utf-8" where somebody mistook
// the header), is the caller's to understand: he has the status, the headers and the body as it came. Go and Node do the same;
// curl, asked to decode, gives up, and with it a POST's 201.
void answer_body::read_coding(std::string_view value) noexcept {
    while (!value.empty()) {
        auto part = value.substr(0, value.find(','));
        value.remove_prefix(std::min(part.size() + 1, value.size()));
        part.remove_prefix(std::min(part.find_first_not_of(" \t"), part.size()));
        auto const coding = content_coding_of(part.substr(0, part.find_last_not_of(" \t") + 1));
        if (coding == content_coding::identity) continue;
        unknown_coding_ = unknown_coding_ || !coding || coding_ != content_coding::identity;
        coding_ = coding.value_or(content_coding::identity);
    }
}

// The headers say then what the body is, not what it was on the wire.
answer_body::problem answer_body::begin(std::uint64_t announced) {
    // More than this is reserved only as it arrives: a length is only what the server says.
    constexpr std::uint64_t max_reserve = 1u << 20;
    streams_ = expected_.to_sink && expected_.to_sink(*out_);
    bool const bodiless = expected_.head_request || out_->status() == 204 || out_->status() == 304;
    if (!expected_.head_request && !streams_ && announced > limits_->max_body) return over_max_body;
    // A part of a coded body cannot be decoded: what was asked for with a Range is the caller's to put together.
    if (!expected_.decode || unknown_coding_ || out_->status() == 206) coding_ = content_coding::identity;
    if (!bodiless && !streams_ && announced > 0)
        out_->mutable_body().reserve(static_cast<std::size_t>(std::min(announced, max_reserve)));
    if (coding_ == content_coding::identity || bodiless) return {};
    if (!streams_)
        decoder_ = std::make_unique<content_decoder>(coding_,
                                                     content_decoder::limits{limits_->max_body, limits_->max_ratio},
                                                     expected_.secret ? content_decoder::memory::wiped
                                                                      : content_decoder::memory::plain);
    out_->remove_headers("content-encoding");
    out_->remove_headers("content-length");
    return {};
}

answer_body::problem answer_body::put(std::string_view bytes) {
    received_ += bytes.size();
    if (!streams_ && received_ > limits_->max_body) return over_max_body;
    if (decoder_) return decoder_->put(bytes, out_->mutable_body());
    out_->mutable_body().append(bytes.data(), bytes.size());
    return {};
}

answer_body::problem answer_body::finish() {
    if (!decoder_) return {};
    auto const problem = decoder_->finish();
    decoder_.reset();  // its window is larger than most bodies
    return problem;
}

}  // namespace jirapool::detail
