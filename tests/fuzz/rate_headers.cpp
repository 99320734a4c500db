// What an answer's headers say of limits and dates, and what the limiter makes of it. Input: a status, then lines "Name: value".
#include "fuzz.hpp"

#include <jirapool/core/limiter.hpp>
#include <jirapool/core/rate_headers.hpp>

using namespace jirapool;
using namespace std::chrono_literals;

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static constexpr int statuses[] = {200, 429, 503, 404};
    fuzz::input in(data, size);
    response r;
    r.set_status(statuses[in.byte() % 4]);
    fuzz::exact_copy const exact(in.rest());
    for (auto rest = exact.view(); !rest.empty();) {
        auto const line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        auto const colon = line.find(": ");
        if (colon == line.npos) continue;
        r.add_header(line.substr(0, colon), line.substr(colon + 2));
        parse_http_date(line.substr(colon + 2));
        parse_iso_time(line.substr(colon + 2));
    }
    wall_time const wall{std::chrono::seconds(1'780'000'000)};
    auto const h = read_rate_headers(r, wall);
    if (h.retry_after) FUZZ_CHECK(*h.retry_after >= 0s && *h.retry_after <= 24h);
    FUZZ_CHECK(*to_string(h.reason) != '\0');
    return 0;
}
