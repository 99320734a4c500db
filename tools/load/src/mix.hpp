#pragma once

#include <jirapool/core/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace jirapool::load {

/// What a call does at Jira.
enum class operation : std::uint8_t { myself, get_issue, search, put_issue, post_issue };
inline constexpr std::size_t operation_count = 5;
/// "get_issue"
char const* to_string(operation o) noexcept;

/// How much of the load each operation is.
class mix {
public:
    static constexpr std::string_view default_text = "myself=20,get_issue=50,search=15,put_issue=10,post_issue=5";

    /// "myself=20,get_issue=80": weights are whole numbers up to 1,000,000, what is not named has 0, one must be above.
    /// Errors: invalid_argument with the rule.
    static result<mix> parse(std::string_view text);

    unsigned weight(operation o) const noexcept { return weights_[static_cast<std::size_t>(o)]; }
    unsigned total() const noexcept { return total_; }
    /// The operation that has the `draw`-th of all weights. Precondition: draw < total().
    operation pick(unsigned draw) const noexcept;

private:
    mix() = default;
    std::array<unsigned, operation_count> weights_{};
    unsigned total_ = 0;
};

}  // namespace jirapool::load
