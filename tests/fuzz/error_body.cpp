// What an answer means, by its status, headers and body. Input: status and kind, the body.
#include "fuzz.hpp"

#include <jirapool/core/answer.hpp>

using namespace jirapool;

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static constexpr int statuses[] = {200, 204, 302, 400, 401, 403, 404, 410, 413, 429, 500, 502, 503, 504};
    static constexpr connection_kind kinds[] = {connection_kind::personal_api_token, connection_kind::service_api_token,
                                                connection_kind::service_oauth};
    fuzz::input in(data, size);
    auto const choice = in.byte();
    response r;
    r.set_status(statuses[choice % 14]);
    if ((choice & 0x80) != 0) r.add_header("X-Seraph-LoginReason", "AUTHENTICATED_FAILED");
    auto const body = in.rest();
    r.mutable_body().append(body.data(), body.size());
    for (auto const kind : kinds) {
        auto const verdict = judge(r, kind);
        FUZZ_CHECK(*to_string(verdict.what) != '\0');
        FUZZ_CHECK((verdict.says == answer_sign::works) == (r.ok() && verdict.what != answer_class::anonymous));
    }
    return 0;
}
