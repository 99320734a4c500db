// The answer to a request: head, framing, body, coding, through everything of the channel but its socket. Whole and in pieces must
// be the same answer. Input: flags, size of the pieces, the bytes.
#include "fuzz.hpp"

#include "wire/http1_parser.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

using namespace jirapool;
using namespace jirapool::detail;
using step = http1_reader::step;

namespace {

answer_limits const limits{4096, 32, 65536, 250};

struct reading {
    step last = step::more;
    bool clean = false;
    std::size_t used = 0;  ///< of the input, at the end of the piece that was the last
    response out;
    failure error;
};

/// In pieces of `piece` bytes behind a first one of `first`.
void read(reading& r, answer_expectation e, std::string_view bytes, std::size_t first, std::size_t piece, bool end) {
    http1_reader reader(limits);
    reader.begin(r.out, e);
    std::vector<char> kept(reader.max_kept());
    while (r.used < bytes.size() && r.last == step::more) {
        auto const begin = reader.restore(kept.data());
        FUZZ_CHECK(begin <= reader.max_kept());
        auto const part = bytes.substr(r.used, r.used == 0 ? first : piece);
        std::string joined(kept.data(), begin);
        joined += part;
        fuzz::exact_copy const exact(joined);
        r.used += part.size();
        r.last = reader.put(exact.data(), joined.size());
    }
    if (r.last == step::more && end) r.last = reader.end();
    r.clean = r.last == step::done && reader.clean();
    r.error = reader.error();
}

void check(reading const& r) {
    std::string_view const body = r.out.body();
    FUZZ_CHECK(body.size() <= limits.max_body + 64 * 1024 * 4);
    FUZZ_CHECK(r.out.header_count() <= limits.max_headers);
    static char const zeros[body_view::padding] = {};
    FUZZ_CHECK(std::memcmp(body.data() + body.size(), zeros, sizeof zeros) == 0);
    if (r.last == step::failed) {
        FUZZ_CHECK(r.error.code());
        FUZZ_CHECK(!r.error.rule().empty());
    }
    if (r.last == step::done) {
        FUZZ_CHECK(r.out.status() >= 200 && r.out.status() <= 599);
        FUZZ_CHECK(body.size() <= limits.max_body);
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input in(data, size);
    auto const flags = in.byte();
    auto const piece = 1 + std::size_t{in.byte()};
    answer_expectation e;
    e.head_request = (flags & 1) != 0;
    e.decode = (flags & 2) != 0;
    bool const end = (flags & 4) != 0;
    auto const bytes = in.rest();

    reading whole;
    read(whole, e, bytes, bytes.size(), bytes.size(), end);
    check(whole);
    // A head that does not come at once is Beast's alone.
    reading pieces;
    read(pieces, e, bytes, 1, piece, end);
    check(pieces);
    // Where an answer ends may not depend on how it came.
    FUZZ_CHECK((whole.last == step::done) == (pieces.last == step::done));
    if (whole.last == step::done) {
        FUZZ_CHECK(whole.out.status() == pieces.out.status());
        FUZZ_CHECK(std::string_view(whole.out.body()) == std::string_view(pieces.out.body()));
        FUZZ_CHECK(whole.out.header_count() == pieces.out.header_count());
        for (std::size_t i = 0; i < whole.out.header_count(); ++i) {
            FUZZ_CHECK(whole.out.header_name(i) == pieces.out.header_name(i));
            FUZZ_CHECK(whole.out.header_value(i) == pieces.out.header_value(i));
        }
        // A clean answer used all there was; in pieces, what followed may not have been looked at yet.
        FUZZ_CHECK(!whole.clean || (pieces.clean && pieces.used == bytes.size()));
    }
    return 0;
}
