#pragma once

#include "reply.hpp"
#include "site_state.hpp"
#include "visit.hpp"

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/world.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace jirapool::mock {

/// Of "PROJ-7" or an id; 0 if it can be no issue.
std::uint32_t issue_number(std::string_view id_or_key) noexcept;

/** Issues as Jira shows them and takes them: one at a time, read, made, changed, deleted. What a site remembers of them is
    site_state's; who may and how often has been settled before. */
class issues {
public:
    issues(params const& p, world const& w);

    reply get(visit const& v, site_state const& site, std::uint32_t number) const;
    reply create(visit const& v, site_state& site) const;
    reply edit(visit const& v, site_state& site, std::uint32_t number) const;
    reply remove(site_state& site, std::uint32_t number) const;

    /// As one of a search's: whole, by id and key, by id. `base` is base_url's.
    void append(std::string& out, std::string_view base, std::size_t site, issue_state const& issue) const;
    static void append_key(std::string& out, std::string_view base, std::uint32_t number);
    static void append_id(std::string& out, std::uint32_t number);

private:
    params const& params_;
    world const& world_;
    /// What descriptions are cut from.
    std::string const filler_;
};

}  // namespace jirapool::mock
