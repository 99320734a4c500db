#pragma once

#include "reply.hpp"
#include "visit.hpp"

#include <jirapool/mock/world.hpp>

#include <string>
#include <string_view>

namespace jirapool::mock {

// How Atlassian words what it answers: types, bodies of errors, and the headers that all answers share. Nothing is decided here.

inline constexpr std::string_view gateway_host = "api.atlassian.com";
inline constexpr std::string_view auth_host = "auth.atlassian.com";

inline constexpr std::string_view html_type = "text/html; charset=UTF-8";
inline constexpr std::string_view text_type = "text/plain;charset=UTF-8";

/// Without headers of its own.
reply simple(int status, std::string_view type, std::string_view body);
reply json(int status, std::string_view body);
/// 204.
reply no_content();
/// Jira's own errors: of the request as a whole, and of a field of a body (400).
reply jira_error(int status, std::string_view message);
reply field_error(std::string_view field, std::string_view message);
/// The gateway's, with the headers that all answers share.
reply gateway_error(visit const& v, world const& w, int status, std::string_view message);
/// The token endpoint's.
reply oauth_error(int status, std::string_view code, std::string_view description);
/// What a site's API answers while something is wrong with it.
reply service_unavailable();

/// What answers of a site and of the gateway have in common, refusals among them.
void add_common_headers(visit const& v, world const& w, reply& out);

/// "https://site-0001.atlassian.net", or the gateway's by cloud id: as the request came, so are the links in its answer.
std::string base_url(visit const& v, world const& w);

}  // namespace jirapool::mock
