#pragma once

#include "certificate.hpp"

#include <jirapool/mock/http2.hpp>

#include <boost/asio/ssl/context.hpp>

namespace jirapool::mock {

/// The server's side of TLS: versions 1.2 and 1.3, tickets, ALPN that chooses among `versions`.
boost::asio::ssl::context make_tls(certificates const& certs, http_versions versions);

}  // namespace jirapool::mock
