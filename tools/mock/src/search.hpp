#pragma once

#include "issues.hpp"
#include "reply.hpp"
#include "site_state.hpp"
#include "visit.hpp"

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/world.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool::mock {

/// What is asked for in a query or a body.
struct search_request {
    void want(std::string_view field);

    std::string jql;
    std::optional<std::string> page_token;
    std::uint64_t max_results = 50;
    bool wants_key = false;
    /// Fields beyond id and key.
    bool wants_fields = false;
};

/** search/jql, in two steps: what it finds, which the limits want to know, and the answer. JQL is not understood: whatever is
    asked, every issue is found. */
class search {
public:
    struct result {
        search_request asked;
        /// Not empty: what is wrong with the request, and nothing was looked for.
        std::string problem;
        std::vector<std::uint32_t> page;
        bool has_more = false;
    };

    search(params const& p, world const& w, issues const& i) noexcept : params_(p), world_(w), issues_(i) {}

    result find(visit const& v, site_state const& site) const;
    reply answer(visit const& v, site_state const& site, result const& found) const;

private:
    std::string page_token(std::string_view jql, std::uint32_t last) const;
    /// nullopt: not of this query, or never issued.
    std::optional<std::uint32_t> read_page_token(std::string_view jql, std::string_view token) const;

    params const& params_;
    world const& world_;
    issues const& issues_;
};

}  // namespace jirapool::mock
