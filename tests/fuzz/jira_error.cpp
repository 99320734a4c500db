// What an error answer says. Input: the status, with its upper bits the charset; a header's length and the header; the body.
#include "fuzz.hpp"

#include "support/jira_error_promises.hpp"

#include <jirapool/core/jira_error.hpp>

#include <algorithm>

using namespace jirapool;

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static constexpr int statuses[] = {400, 401, 403, 404, 429, 503, 201, 303};
    static constexpr char const* types[] = {"application/json", "text/html; charset=iso-8859-1",
                                            "text/html;charset=\"cp1252\"", "charset="};
    fuzz::input in(data, size);
    auto const choice = in.byte();
    std::size_t const header_size = in.byte() & 0x1f;
    auto const rest = in.rest();
    auto const header = rest.substr(0, header_size);
    auto const body = rest.substr(header.size());
    response r;
    r.set_status(statuses[choice % 8]);
    r.add_header("Content-Type", types[choice / 8 % 4]);
    r.add_header("x-arequestid", header);
    r.mutable_body().append(body.data(), body.size());

    auto const e = read_jira_error(r);
    FUZZ_CHECK(test::broken_promise(e).empty());
    FUZZ_CHECK(e.status == r.status());
    if (r.status() == 303) FUZZ_CHECK(e.empty());
    // What came before is no part of an answer: the same bytes say the same.
    FUZZ_CHECK(read_jira_error(r).describe() == e.describe());
    return 0;
}
