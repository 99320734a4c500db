#pragma once

#include "summary.hpp"

#include <jirapool/core/result.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace jirapool::load {

/// What a run must keep: "response_ms.p99<=250", "mock.share_used>=0.9".
class threshold {
public:
    /// NAME<=NUMBER or NAME>=NUMBER, with blanks or without; a name is a number's place in the JSON. Errors:
    /// invalid_argument with the rule.
    static result<threshold> parse(std::string_view text);

    std::string const& text() const noexcept { return text_; }
    std::string const& name() const noexcept { return name_; }
    /// What the summary has in its place; a status or error that did not happen counts 0.
    std::optional<double> value_in(flat_summary const& s) const;
    /// False as well when there is no such number.
    bool is_met(flat_summary const& s) const;

private:
    threshold() = default;
    std::string text_;
    std::string name_;
    double bound_ = 0;
    bool at_most_ = true;
};

}  // namespace jirapool::load
