#pragma once

#include "app.hpp"
#include "reply.hpp"

#include <string_view>

namespace jirapool::mock {

/** What the admin port answers: counters as JSON, reset, faults. `head` is a request as it came, its first line at least.

    Pure but for what it asks of `a`; the sockets are admin_session's. */
reply answer_admin(app& a, std::string_view head);

}  // namespace jirapool::mock
