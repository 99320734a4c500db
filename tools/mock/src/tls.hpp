#pragma once

#include "certificate.hpp"

#include <boost/asio/ssl/context.hpp>

namespace jirapool::mock {

/// The server's side of TLS: versions 1.2 and 1.3, tickets, ALPN "http/1.1".
boost::asio::ssl::context make_tls(certificates const& certs);

}  // namespace jirapool::mock
