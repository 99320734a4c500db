#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/site.hpp>

#include <string_view>

namespace jirapool {

/// Where a site tells its cloud ID to anybody, without credentials (core/doc/jira-cloud.md, 2.4).
inline constexpr std::string_view tenant_info_target = "/_edge/tenant_info";

/// Reads `{"cloudId":"…"}`. Errors: protocol_error when it is anything else. Throws bad_alloc.
result<cloud_id> read_tenant_info(int status, std::string_view body);

}  // namespace jirapool
