#pragma once

#include "admin.hpp"
#include "worker.hpp"

#include <boost/asio/awaitable.hpp>

namespace jirapool::mock {

/// One plain-HTTP connection to the admin port: a request, and the answer that answer_admin has for it.
asio::awaitable<void> serve_admin(worker* host, api_port* port, outbox* mail, tcp::socket socket);

}  // namespace jirapool::mock
