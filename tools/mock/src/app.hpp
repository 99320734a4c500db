#pragma once

#include "auth.hpp"
#include "clock.hpp"
#include "deliveries.hpp"
#include "edge.hpp"
#include "http2_script.hpp"
#include "jira_api.hpp"
#include "reply.hpp"
#include "settings.hpp"
#include "site_state.hpp"
#include "stage.hpp"
#include "tally.hpp"
#include "visit.hpp"

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/stats.hpp>
#include <jirapool/mock/world.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace jirapool::mock {

/** The road of a request through the mock's parts: a request and a time in, an answer out. It owns the parts and says who is
    asked in which order; all else is theirs. No sockets.

    @par Threads   Any. */
class app {
public:
    /// Precondition: why_invalid(p) == nullptr.
    explicit app(mock::params p);

    /// Never throws: what an intercept throws becomes an answer of status 500 that says so.
    reply handle(request_view const& r, instant now);
    /// The answer to what could not be read as a request.
    reply refuse_unreadable(int status);

    mock::params const& params() const noexcept { return settings_.params(); }
    mock::world const& world() const noexcept { return world_; }
    mock::settings& settings() noexcept { return settings_; }
    mock::auth& auth() noexcept { return auth_; }
    mock::tally& tally() noexcept { return tally_; }
    mock::stage& stage() noexcept { return stage_; }
    mock::http2_script& http2_script() noexcept { return http2_script_; }
    mock::deliveries& deliveries() noexcept { return deliveries_; }
    jira_api& jira() noexcept { return jira_; }
    site_state const& site(std::size_t index) const { return sites_.at(index); }

    // What is counted in tally and in the sites' buckets.
    stats snapshot() const;
    std::vector<bucket_stats> buckets() const;
    void reset_stats();

private:
    reply answer(visit& v);
    /// Without scenes.
    reply answer_itself(visit& v);

    mock::settings settings_;
    mock::world const world_;
    std::vector<site_state> sites_;
    edge const edge_;
    mock::auth auth_;
    jira_api jira_;
    mock::tally tally_;
    mock::stage stage_;
    mock::http2_script http2_script_;
    mock::deliveries deliveries_;
    std::atomic<std::uint64_t> requests_{0};
};

}  // namespace jirapool::mock
