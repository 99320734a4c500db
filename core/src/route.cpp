#include <jirapool/core/route.hpp>

#include "unescaped.hpp"

#include <array>
#include <cstring>

namespace jirapool {

namespace {

using detail::next_unescaped;

// What route_table.inc is written in: a trie of segments. A literal edge is looked up by text; a parameter takes any
// segment. Versions 2, 3 and latest are three edges to one node.
constexpr std::uint16_t none = 0xffff;
constexpr std::size_t column_count = 5;

struct node {
    std::uint16_t first_edge;
    std::uint16_t edge_count;
    std::uint16_t parameter;
    route_id routes[column_count];
};

struct edge {
    std::string_view text;
    std::uint16_t child;
};

#include "route_table.inc"

constexpr std::size_t table_size = sizeof routes / sizeof routes[0];
static_assert(table_size == first_fallback + column_count);
static_assert(table_size == sizeof issue_segment);

constexpr route_class classify(route_info const& r) noexcept {
    if (r.bulk) return route_class::bulk;
    bool const reads = r.reads_only || r.method == method::get || r.method == method::head;
    if (!reads) return route_class::write;
    bool const searches = r.name.find("/rest/api/{version}/search") != std::string_view::npos;
    return searches ? route_class::search : route_class::read;
}

// Looked up by each call.
constexpr auto classes = [] {
    std::array<route_class, table_size> all{};
    for (std::size_t i = 0; i < table_size; ++i) all[i] = classify(routes[i]);
    return all;
}();

// HEAD has no column: Jira counts it with GET.
constexpr std::size_t method_column(method m) noexcept {
    switch (m) {
    case method::get:
    case method::head: return 0;
    case method::post: return 1;
    case method::put: return 2;
    case method::patch: return 3;
    case method::delete_: return 4;
    }
    return 1;  // no such method: as a POST, whose routes promise nothing
}

// No literal is longer.
constexpr std::size_t longest_literal = 64;

/// The segment as it is without the escapes that it need not have; itself when none of it is a literal's.
std::string_view unescaped(std::string_view segment, std::array<char, longest_literal>& room) noexcept {
    std::size_t size = 0;
    for (auto rest = segment; !rest.empty();) {
        if (size == room.size()) return segment;
        room[size++] = next_unescaped(rest);
    }
    return {room.data(), size};
}

std::uint16_t find_literal(node const& n, std::string_view segment) noexcept {
    // Edges are sorted by length first, so that most steps compare two numbers.
    edge const* low = edges + n.first_edge;
    edge const* const end = low + n.edge_count;
    std::size_t count = n.edge_count;
    while (count > 0) {
        std::size_t const half = count / 2;
        std::string_view const text = low[half].text;
        bool const before = text.size() != segment.size() ? text.size() < segment.size()
                                                          : std::memcmp(text.data(), segment.data(), text.size()) < 0;
        if (before) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low != end && low->text == segment ? low->child : none;
}

}  // namespace

route_match classify_route(method m, std::string_view target) noexcept {
    std::size_t const column = method_column(m);
    route_match const fallback{static_cast<route_id>(first_fallback + column), {}};

    // Split first: a target with more segments than any template, or with an empty one, needs no look at the table.
    if (target.empty() || target.front() != '/') return fallback;
    std::array<std::string_view, max_segments> segments;
    std::size_t count = 0;
    char const* at = target.data() + 1;
    char const* const end = target.data() + target.size();
    for (bool more = true; more;) {
        char const* const begin = at;
        while (at != end && *at != '/' && *at != '?') ++at;
        more = at != end && *at == '/';
        if (at == begin) {
            if (more || count == 0) return fallback;
            break;  // one slash at the end is tolerated
        }
        if (count == max_segments) return fallback;
        segments[count++] = {begin, static_cast<std::size_t>(at - begin)};
        if (more) ++at;
    }

    // Depth first, literals before parameters. Each turn on the way back is a parameter not yet tried; no node is
    // visited twice, so that no target can make this slow.
    struct turn {
        std::uint16_t to;
        std::uint16_t depth;
    };
    std::array<turn, max_segments> turns;  // one per depth at the most
    std::size_t turn_count = 0;
    std::uint16_t here = 0;
    std::size_t depth = 0;
    bool const escaped = target.find('%') != std::string_view::npos;
    for (;;) {
        node const& n = nodes[here];
        if (depth == count) {
            route_id const found = n.routes[column];
            if (found != none) {
                std::size_t const issue = issue_segment[found];
                return {found, issue != 0 ? segments[issue] : std::string_view()};
            }
            here = none;
        } else {
            std::array<char, longest_literal> room;
            here = find_literal(n, escaped ? unescaped(segments[depth], room) : segments[depth]);
            if (here == none) {
                here = n.parameter;
            } else if (n.parameter != none) {
                turns[turn_count++] = {n.parameter, static_cast<std::uint16_t>(depth + 1)};
            }
            ++depth;
        }
        if (here == none) {
            if (turn_count == 0) return fallback;
            --turn_count;
            here = turns[turn_count].to;
            depth = turns[turn_count].depth;
        }
    }
}

route_info const& route(route_id id) noexcept { return routes[id]; }

route_class class_of(route_id id) noexcept { return classes[id]; }

std::size_t route_count() noexcept { return table_size; }

}  // namespace jirapool
