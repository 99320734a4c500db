#include "tls.hpp"

#include <boost/asio/buffer.hpp>

#include <openssl/ssl.h>

#include <cstddef>
#include <string_view>

namespace jirapool::mock {

namespace asio = boost::asio;

namespace {

/// In the order that is preferred, each with its length before it.
std::basic_string_view<unsigned char> protocols(http_versions v) noexcept {
    static constexpr unsigned char all[] = "\x02h2\x08http/1.1";
    constexpr std::size_t h2 = 3;
    std::basic_string_view<unsigned char> const list(all, sizeof all - 1);
    switch (v) {
    case http_versions::either: break;
    case http_versions::http1_1: return list.substr(h2);
    case http_versions::http2: return list.substr(0, h2);
    }
    return list;
}

template <http_versions versions>
int choose_alpn(SSL*, unsigned char const** out, unsigned char* out_size, unsigned char const* in, unsigned in_size,
                void*) {
    auto const ours = protocols(versions);
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, ours.data(), static_cast<unsigned>(ours.size()), in, in_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return versions == http_versions::http2 ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

auto alpn_chooser(http_versions v) noexcept {
    switch (v) {
    case http_versions::either: break;
    case http_versions::http1_1: return choose_alpn<http_versions::http1_1>;
    case http_versions::http2: return choose_alpn<http_versions::http2>;
    }
    return choose_alpn<http_versions::either>;
}

}  // namespace

asio::ssl::context make_tls(certificates const& certs, http_versions versions) {
    asio::ssl::context tls(asio::ssl::context::tls_server);
    tls.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                    asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    tls.use_certificate(asio::buffer(certs.leaf), asio::ssl::context::pem);
    tls.use_private_key(asio::buffer(certs.private_key), asio::ssl::context::pem);
    SSL_CTX* const native = tls.native_handle();
    static constexpr unsigned char session_context[] = "jirapool-mock";
    SSL_CTX_set_session_id_context(native, session_context, sizeof session_context - 1);
    // Tickets carry the session: nothing to remember here.
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(native, alpn_chooser(versions), nullptr);
    return tls;
}

}  // namespace jirapool::mock
