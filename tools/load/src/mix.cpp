#include "mix.hpp"

#include <charconv>
#include <optional>

namespace jirapool::load {
namespace {

constexpr unsigned max_weight = 1'000'000;

std::optional<operation> operation_named(std::string_view name) noexcept {
    for (std::size_t i = 0; i < operation_count; ++i)
        if (name == to_string(static_cast<operation>(i))) return static_cast<operation>(i);
    return std::nullopt;
}

failure refuse(std::string rule) { return failure(errc::invalid_argument, std::move(rule)); }

}  // namespace

char const* to_string(operation o) noexcept {
    switch (o) {
    case operation::myself: return "myself";
    case operation::get_issue: return "get_issue";
    case operation::search: return "search";
    case operation::put_issue: return "put_issue";
    case operation::post_issue: return "post_issue";
    }
    return "unknown";
}

result<mix> mix::parse(std::string_view text) {
    mix m;
    std::array<bool, operation_count> seen{};
    while (!text.empty()) {
        auto const comma = text.find(',');
        auto const item = text.substr(0, comma);
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
        auto const equals = item.find('=');
        if (equals == std::string_view::npos) return refuse("each part must be ROUTE=WEIGHT");
        auto const o = operation_named(item.substr(0, equals));
        if (!o) return refuse("a route must be myself, get_issue, search, put_issue or post_issue");
        auto const digits = item.substr(equals + 1);
        unsigned weight = 0;
        auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), weight);
        if (error != std::errc{} || end != digits.data() + digits.size() || weight > max_weight)
            return refuse("a weight must be a whole number, at most 1,000,000");
        auto const i = static_cast<std::size_t>(*o);
        if (seen[i]) return refuse(std::string("has ") + to_string(*o) + " twice");
        seen[i] = true;
        m.weights_[i] = weight;
        m.total_ += weight;
    }
    if (m.total_ == 0) return refuse("needs a weight above 0");
    return m;
}

operation mix::pick(unsigned draw) const noexcept {
    std::size_t i = 0;
    while (i + 1 < operation_count && draw >= weights_[i]) draw -= weights_[i++];
    return static_cast<operation>(i);
}

}  // namespace jirapool::load
