// gzip and brotli. Input: which, size of the pieces, the bytes.
#include "fuzz.hpp"

#include "exchange/content_decoder.hpp"

#include <cstring>

using namespace jirapool;
using namespace jirapool::detail;

namespace {

constexpr content_decoder::limits limits{4u << 20, 250};

bool decode(content_coding c, std::string_view bytes, std::size_t piece, padded_buffer& out) {
    content_decoder decoder(c, limits);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        fuzz::exact_copy const part(bytes.substr(at, piece));
        auto const problem = decoder.put(part.view(), out);
        FUZZ_CHECK(out.size() <= limits.max_body + (256u << 10));
        if (problem) {
            FUZZ_CHECK(*problem.rule != '\0');
            return false;
        }
    }
    return !decoder.finish();
}

}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input in(data, size);
    auto const coding = (in.byte() & 1) != 0 ? content_coding::brotli : content_coding::gzip;
    auto const piece = 1 + std::size_t{in.byte()};
    padded_buffer whole;
    padded_buffer pieces;
    bool const fine = decode(coding, in.rest(), in.rest().size() + 1, whole);
    bool const fine_in_pieces = decode(coding, in.rest(), piece, pieces);
    FUZZ_CHECK(fine == fine_in_pieces);
    if (fine) FUZZ_CHECK(whole.size() == pieces.size() && std::memcmp(whole.data(), pieces.data(), whole.size()) == 0);
    return 0;
}
