#include "tls.hpp"

#include <boost/asio/buffer.hpp>

#include <openssl/ssl.h>

namespace jirapool::mock {

namespace asio = boost::asio;

namespace {

int choose_alpn(SSL*, unsigned char const** out, unsigned char* out_size, unsigned char const* in, unsigned in_size,
                void*) {
    static constexpr unsigned char ours[] = "\x08http/1.1";
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

asio::ssl::context make_tls(certificates const& certs) {
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
    SSL_CTX_set_alpn_select_cb(native, choose_alpn, nullptr);
    return tls;
}

}  // namespace jirapool::mock
