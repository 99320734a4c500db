#include <jirapool/core/tenant_info.hpp>

#include <jirapool/core/json_text.hpp>

#include <simdjson.h>

namespace jirapool {

result<cloud_id> read_tenant_info(int status, std::string_view body) {
    if (status != 200) return failure(errc::protocol_error, "status " + std::to_string(status));
    simdjson::dom::parser parser;
    simdjson::padded_string const text(json_text(body));
    simdjson::dom::element doc;
    std::string_view id;
    if (parser.parse(text).get(doc) || doc["cloudId"].get(id))
        return failure(errc::protocol_error, "no cloudId in the answer");
    auto parsed = cloud_id::parse(id);
    if (!parsed) return failure(errc::protocol_error, "cloudId is not a UUID");
    return parsed;
}

}  // namespace jirapool
