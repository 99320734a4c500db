#include "mock_view.hpp"

#include <simdjson.h>

namespace jirapool::load {
namespace {

void read(simdjson::dom::element const& root, char const* pointer, std::uint64_t& into) {
    std::uint64_t n = 0;
    if (root.at_pointer(pointer).get(n) == simdjson::SUCCESS) into = n;
}

void read(simdjson::dom::element const& root, char const* pointer, double& into) {
    double n = 0;
    if (root.at_pointer(pointer).get(n) == simdjson::SUCCESS) into = n;
}

}  // namespace

result<mock_view> parse_mock_stats(std::string_view json) {
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !root.is_object())
        return failure(errc::not_json, "the mock's answer to GET /stats is not a JSON object");
    mock_view v;
    read(root, "/requests/total", v.requests);
    read(root, "/unauthorized", v.answered_401);
    read(root, "/limited_total", v.answered_429);
    read(root, "/isolation_violations", v.isolation_violations);
    read(root, "/sni_mismatches", v.sni_mismatches);
    read(root, "/injected_errors", v.injected_errors);
    read(root, "/connections/accepted", v.channels_accepted);
    read(root, "/connections/handshakes", v.handshakes);
    read(root, "/connections/handshakes_resumed", v.handshakes_resumed);
    read(root, "/tokens/min_refreshes_per_credential", v.min_refreshes_per_credential);
    read(root, "/tokens/max_refreshes_per_credential", v.max_refreshes_per_credential);
    read(root, "/tokens/max_in_flight_per_credential", v.max_in_flight_per_credential);
    read(root, "/buckets/busy", v.busy_buckets);
    read(root, "/buckets/busy_permitted", v.permitted);
    read(root, "/buckets/busy_admitted", v.admitted);
    read(root, "/buckets/busy_refused", v.refused);
    read(root, "/buckets/busy_used", v.share_used);
    read(root, "/buckets/touched", v.buckets);
    read(root, "/buckets/permitted", v.all_permitted);
    read(root, "/buckets/admitted", v.all_admitted);
    read(root, "/buckets/refused", v.all_refused);
    return v;
}

}  // namespace jirapool::load
