#pragma once

#include "reply.hpp"
#include "visit.hpp"

#include <jirapool/mock/world.hpp>

#include <optional>

namespace jirapool::mock {

/** What stands before Jira: finds out which host, site and route a request is for, and answers what no Jira gets to see: what
    is for no host of ours or no HTTP that the edge lets pass, tenant_info, and the gateway's unknown paths.

    It lets in or refuses nobody for who they are, and counts nothing. */
class edge {
public:
    explicit edge(world const& w) noexcept : world_(w) {}

    /// Writes down where and match.
    void locate(visit& v) const;
    /// nullopt: the request passes on. Comes after auth::identify, since a refused webhook is counted for who it was.
    std::optional<reply> answer(visit& v) const;
    /// To what could not be read as a request.
    static reply refuse_unreadable(int status);

private:
    std::optional<reply> answer_on_site(visit& v) const;
    std::optional<reply> answer_on_gateway(visit& v) const;

    world const& world_;
};

}  // namespace jirapool::mock
