#include <jirapool/core/tenant_info.hpp>

#include <jirapool/core/json_text.hpp>

#include <simdjson.h>

#include <new>

namespace jirapool {

result<cloud_id> read_tenant_info(int status, std::string_view body) {
    if (status != 200) return failure(errc::protocol_error, "status " + std::to_string(status));
    simdjson::dom::parser parser;
    auto const json = json_text(body);
    simdjson::padded_string const text(json);
    // Without memory simdjson's text is an empty one.
    if (text.size() < json.size()) throw std::bad_alloc();
    simdjson::dom::element doc;
    std::string_view id;
    auto const error = parser.parse(text).get(doc);
    if (error == simdjson::MEMALLOC) throw std::bad_alloc();
    if (error || doc["cloudId"].get(id)) return failure(errc::protocol_error, "no cloudId in the answer");
    auto parsed = cloud_id::parse(id);
    if (!parsed) return failure(errc::protocol_error, "cloudId is not a UUID");
    return parsed;
}

}  // namespace jirapool
