// The token endpoint's answer, and a site's /_edge/tenant_info. Input: a status, the body.
#include "fuzz.hpp"

#include <jirapool/core/tenant_info.hpp>
#include <jirapool/core/token_answer.hpp>

using namespace jirapool;
using namespace std::chrono_literals;

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static constexpr int statuses[] = {200, 400, 401, 403, 429, 500, 204};
    fuzz::input in(data, size);
    auto const status = statuses[in.byte() % 7];
    fuzz::exact_copy const body(in.rest());
    auto const a = read_token_answer(status, body.view());
    if (a.ok()) {
        FUZZ_CHECK(status / 100 == 2);
        FUZZ_CHECK(a.lifetime > 0s);
        for (char const c : a.token.reveal()) FUZZ_CHECK(static_cast<unsigned char>(c) > 0x20 && c != 0x7f);
    } else {
        FUZZ_CHECK(!a.reason.empty());
        for (char const c : a.reason) FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
    auto const cloud = read_tenant_info(status, body.view());
    if (cloud) FUZZ_CHECK(cloud->str().size() == 36);
    else FUZZ_CHECK(cloud.error().code());
    return 0;
}
