#pragma once

#include <jirapool/pool/webhooks.hpp>

#include <optional>
#include <vector>

namespace jirapool::detail {

/// What is not as the spec says, in the order of the enumerators.
std::vector<webhook_drift> drift_of(webhook_spec const& spec, webhook_info const& is);

/// The one of a site's webhooks that the spec means; nullptr: none.
webhook_info const* find_webhook(webhook_spec const& spec, std::vector<webhook_info> const& all) noexcept;

}  // namespace jirapool::detail
