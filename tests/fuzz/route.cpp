// A caller's request: what the check lets through stays below the base path, and the classifier knows something of it. Input: the
// method, a target, and behind a line feed a header's name and value with ": " between.
#include "fuzz.hpp"

#include <jirapool/core/request.hpp>
#include <jirapool/core/route.hpp>

#include <cstring>
#include <string>

using namespace jirapool;

namespace {

// As a proxy or server on the way may read it, once decoded.
std::string decoded(std::string_view text) {
    auto const hex = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
    auto const is_hex = [](char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && is_hex(text[i + 1]) && is_hex(text[i + 2])) {
            out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

bool climbs(std::string_view path) {
    for (std::size_t at = 0; at != path.npos;) {
        auto const end = path.find('/', at);
        auto const segment = path.substr(at, end == path.npos ? end : end - at);
        if (segment == "." || segment == "..") return true;
        at = end == path.npos ? end : end + 1;
    }
    return false;
}

}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input in(data, size);
    auto const m = static_cast<method>(in.byte() % method_count);
    auto const text = in.rest();
    auto const line = text.find('\n');
    std::string const target(text.substr(0, line));
    auto const match = classify_route(m, target);
    FUZZ_CHECK(match.route < route_count() && !route(match.route).name.empty());
    FUZZ_CHECK(target.find(match.issue) != target.npos);

    request r(m, target);
    if (line != text.npos) {
        auto const header = text.substr(line + 1);
        auto const colon = header.find(": ");
        if (colon != header.npos)
            r = std::move(r).header(std::string(header.substr(0, colon)), std::string(header.substr(colon + 2)));
    }
    errc code{};
    char const* const rule = why_invalid(r, code);
    if (rule != nullptr) {
        FUZZ_CHECK(code == errc::invalid_target || code == errc::invalid_header);
        return 0;
    }
    FUZZ_CHECK(target.starts_with('/') && !target.starts_with("//"));
    for (char const c : target) FUZZ_CHECK(c > 0x20 && c < 0x7f && std::strchr("\"#<>[\\]^`{|}", c) == nullptr);
    auto path = target.substr(0, target.find('?'));
    for (int i = 0; i < 3; ++i) {
        FUZZ_CHECK(!climbs(path));
        path = decoded(path);
    }
    for (auto const& [name, value] : r.headers()) {
        FUZZ_CHECK(!name.empty() && name.find_first_of(" :\r\n\t") == name.npos);
        for (char const c : value) FUZZ_CHECK((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\t');
    }
    return 0;
}
