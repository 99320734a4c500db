#pragma once

#include <jirapool/core/result.hpp>

namespace jirapool::cli {

/// What `jirapool` ends with; README.md has the same table.
enum exit_status : int {
    ok = 0,
    /// check: a connection is bad. call: a status other than 2xx. webhook delete: there was none.
    not_ok = 1,
    /// Bad usage, an unusable file, a connection that is not there or bad.
    bad_usage = 2,
    /// There is no answer: the call failed, or Jira refused a webhook. Or the output could not be written.
    failed = 3,
};

/// failed, or bad_usage when it was refused as it was written, before anything was sent.
inline exit_status status_of(failure const& f) noexcept {
    auto const c = f.code();
    bool const is_usage = c == errc::invalid_target || c == errc::invalid_header || c == errc::body_not_allowed ||
                          c == errc::invalid_argument;
    return is_usage ? bad_usage : failed;
}

}  // namespace jirapool::cli
