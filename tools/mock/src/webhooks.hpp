#pragma once

#include "reply.hpp"
#include "site_state.hpp"
#include "visit.hpp"

#include <jirapool/mock/world.hpp>

namespace jirapool::mock {

/// Admin webhooks, /rest/webhooks/1.0/webhook: listed, made, changed, deleted. What is delivered to them: deliveries.hpp.
reply answer_webhooks(visit const& v, world const& w, site_state& site);

}  // namespace jirapool::mock
