#pragma once

namespace jirapool {

/// What Jira told of a budget of points.
struct budget_left {
    double left = 0;  ///< points
    double of = 0;    ///< points of the whole hour
};

}  // namespace jirapool
