#include "json_body.hpp"

namespace jirapool::mock {

bool parse_object(std::string_view body, simdjson::dom::object& out) {
    // A parser keeps its buffers; one per thread spares an allocation of the body's size each time.
    thread_local simdjson::dom::parser parser;
    simdjson::dom::element root;
    if (parser.parse(body.data(), body.size()).get(root)) return false;
    return !root.get(out);
}

std::optional<std::string> string_at(simdjson::dom::object const& object, std::string_view name) {
    std::string_view value;
    if (object[name].get(value)) return std::nullopt;
    return std::string(value);
}

}  // namespace jirapool::mock
