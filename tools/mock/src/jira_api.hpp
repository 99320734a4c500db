#pragma once

#include "issues.hpp"
#include "limits.hpp"
#include "reply.hpp"
#include "search.hpp"
#include "site_state.hpp"
#include "visit.hpp"

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/world.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace jirapool::mock {

/** Jira's REST API, behind edge and auth: asks the limits, lets the one answer whom the route belongs to (issues, search,
    webhooks; the few others are here), and says in headers what the limits said.

    Who is calling has been settled: v.caller, or v.is_anonymous. */
class jira_api {
public:
    jira_api(params const& p, world const& w, std::vector<site_state>& sites);

    reply answer(visit& v);

    /// See server. Precondition: why_invalid(l) == nullptr.
    void set_limits(std::size_t site, site_limits l, instant now);

private:
    /// What an admitted request gets. `issue`: the number in its path. `found`: of a search.
    reply respond(visit& v, site_state& site, std::uint32_t issue, std::optional<search::result> const& found) const;
    reply get_myself(visit const& v) const;
    reply get_server_info(visit const& v) const;

    /// Points of an hourly quota; nullopt: the caller spends none.
    std::optional<std::uint64_t> cost(visit const& v, std::optional<search::result> const& found) const noexcept;
    reply refuse_limited(visit& v, admission const& a) const;
    void add_limit_headers(visit const& v, admission const& a, reply& out) const;

    params const& params_;
    world const& world_;
    std::vector<site_state>& sites_;
    limit_table const limits_;
    issues const issues_;
    search const search_;
};

}  // namespace jirapool::mock
