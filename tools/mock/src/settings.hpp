#pragma once

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/scripted.hpp>

#include <memory>
#include <shared_mutex>

namespace jirapool::mock {

/** What holds as long as the mock lives (params), and what may change while it runs: faults, the intercept and HTTP/2's settings.

    Secrets and revoked tokens change too, but are auth's.

    @par Threads   Any. */
class settings {
public:
    /// What a request goes by from its beginning to its end.
    struct current {
        faults faulty;
        /// nullptr: none.
        std::shared_ptr<intercept_function const> intercept;
    };

    /// Precondition: why_invalid(p) == nullptr.
    explicit settings(mock::params p);

    /// As the mock was made. Its faults and intercept are those of the beginning.
    mock::params const& params() const noexcept { return params_; }
    current in_force() const;
    faults get_faults() const;
    void set_faults(faults f);
    void set_intercept(intercept_function f);
    http2_settings get_http2() const;
    void set_http2(http2_settings s);

private:
    mock::params const params_;
    mutable std::shared_mutex mutex_;
    current current_;
    http2_settings http2_;
};

}  // namespace jirapool::mock
