#include "wire/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace jirapool::detail {

namespace {

/* How many handshake messages a peer may send. A handshake has nine at most, and servers send two tickets behind it, hardly one
   sends more than four; beside them there are KeyUpdates, one for some 2^24 records. OpenSSL takes 10 to 20 us for each: this many
   are less than a millisecond. It begins with all of it and never has more, or a flood could be saved for. */
constexpr std::uint32_t most_messages = 32;
// With each write, so that a server may have its reasons to send a ticket or two with each answer, as long as we ask for answers.
constexpr std::uint64_t messages_per_write = 4;
// Reading so much takes longer than dealing with a message.
constexpr std::uint64_t data_per_message = 64u << 10;

bool would_block() noexcept { return errno == EAGAIN || errno == EWOULDBLOCK; }

long bio_ctrl(BIO* b, int command, long, void*) {
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    default: return 0;
    }
}

int slot_index() {
    static int const index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

int stream_index() {
    static int const index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

// Somebody else's, on this thread, would be taken for ours. To clear costs more than to look.
void forget_errors() noexcept {
    if (ERR_peek_error() != 0) ERR_clear_error();
}

std::string openssl_text(unsigned long error) {
    if (ERR_SYSTEM_ERROR(error)) return std::generic_category().message(ERR_GET_REASON(error));
    char const* const reason = ERR_reason_error_string(error);
    return reason != nullptr ? reason : "unknown TLS error";
}

std::string address_text(ASN1_OCTET_STRING const* address) {
    char text[INET6_ADDRSTRLEN] = "?";
    auto const size = ASN1_STRING_length(address);
    if (size == 4 || size == 16)
        ::inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text, sizeof text);
    return text;
}

// What a certificate says it is for, so that who reads the error knows whom he reached. The peer wrote it: nothing but what names
// are made of, and not much.
std::string names_of(X509 const* certificate) {
    constexpr int most_names = 3;
    constexpr std::size_t longest = 100;
    std::string all;
    int count = 0;
    auto const add = [&](std::string_view name) {
        if (count++ >= most_names) return;
        if (!all.empty()) all += ", ";
        for (char const c : name.substr(0, longest)) all += c > 0x20 && c < 0x7f ? c : '?';
    };
    auto* const names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr,
                                                                     nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
        auto const* const name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            add({reinterpret_cast<char const*>(ASN1_STRING_get0_data(name->d.dNSName)),
                 static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))});
        else if (name->type == GEN_IPADD) add(address_text(name->d.iPAddress));
    }
    GENERAL_NAMES_free(names);
    if (count == 0) return "no host at all (it has no subject alternative name)";
    if (count > most_names) all += " and " + std::to_string(count - most_names) + " more";
    return all;
}

}  // namespace

session_slot::~session_slot() { store(nullptr); }

void session_slot::store(ssl_session_st* s) noexcept {
    if (session_ != nullptr) SSL_SESSION_free(session_);
    session_ = s;
}

// A BIO of our own because OpenSSL's socket BIO writes with write(2), where a peer that went away would raise SIGPIPE in a process
// whose signals are not ours to set, and because it reads on as long as there is something that is no data of ours.
tls_stream::wire& tls_stream::wire_of(BIO* b) noexcept { return *static_cast<wire*>(BIO_get_data(b)); }

int tls_stream::bio_write(BIO* b, char const* data, int size) noexcept {
    BIO_clear_retry_flags(b);
    auto const n = ::send(wire_of(b).descriptor, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (n < 0 && (would_block() || errno == EINTR)) BIO_set_retry_write(b);
    return static_cast<int>(n);
}

int tls_stream::bio_read(BIO* b, char* data, int size) noexcept {
    auto& w = wire_of(b);
    BIO_clear_retry_flags(b);
    // Once in each operation: a handshake message that comes byte by byte, each in a record of its own, or what OpenSSL skips, would
    // keep it from returning for as long as the peer likes.
    if (!std::exchange(w.may_read, false)) {
        BIO_set_retry_read(b);
        return -1;
    }
    auto const n = ::recv(w.descriptor, data, static_cast<std::size_t>(size), 0);
    w.taken = n > 0 && n < size;
    if (n < 0 && (would_block() || errno == EINTR)) {
        w.empty = errno != EINTR;
        BIO_set_retry_read(b);
    }
    if (n == 0) BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return static_cast<int>(n);
}

BIO_METHOD* tls_stream::socket_method() {
    static BIO_METHOD* const method = [] {
        auto* const m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "jirapool socket");
        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_ctrl(m, bio_ctrl);
        BIO_meth_set_create(m, [](BIO* b) {
            BIO_set_init(b, 1);
            return 1;
        });
        return m;
    }();
    return method;
}

namespace {

/// Null: empty, or worth a try. To read a pipe is to wait for who writes to it, and some devices have no end.
char const* why_unreadable(std::string const& path) noexcept {
    if (path.find('\0') != std::string::npos) return "must hold no NUL";
    struct stat s{};
    if (!path.empty() && ::stat(path.c_str(), &s) == 0 && !S_ISREG(s.st_mode)) return "must be a regular file";
    return nullptr;
}

}  // namespace

tls_context::tls_context(tls_params const& p) {
    // OpenSSL frees its tables in an exit handler that is registered when it is first used. A runtime that some object of
    // static lifetime owns is destroyed behind that, with its threads in handshakes. The process ends anyway: nothing is lost.
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr);
    context_ = SSL_CTX_new(TLS_client_method());
    if (context_ == nullptr) throw std::bad_alloc();
    SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, &tls_stream::on_verified);
    SSL_CTX_set_mode(context_,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    // Or it would read on behind a message of its own, and behind the next.
    SSL_CTX_clear_mode(context_, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(context_, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    // A record's head and body in one recv instead of two.
    SSL_CTX_set_read_ahead(context_, 1);
    // Sessions are kept per origin in session_slot; OpenSSL's own cache is shared by all of a context's peers.
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context_, [](SSL* ssl, SSL_SESSION* session) {
        auto* const slot = static_cast<session_slot*>(SSL_get_ex_data(ssl, slot_index()));
        if (slot == nullptr) return 0;
        slot->store(session);
        return 1;
    });
    if (char const* const rule = why_unreadable(p.ca_file)) {
        SSL_CTX_free(context_);
        throw std::invalid_argument(std::string("tls_params::ca_file ") + rule);
    }
    bool const loaded = p.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context_) == 1
                                          : SSL_CTX_load_verify_file(context_, p.ca_file.c_str()) == 1;
    if (!loaded) {
        auto const why = openssl_text(ERR_get_error());
        ERR_clear_error();
        SSL_CTX_free(context_);
        throw std::invalid_argument("tls_params::ca_file: " +
                                    (p.ca_file.empty() ? "the system's trust store" : p.ca_file) +
                                    " has no usable certificates: " + why);
    }
}

tls_context::~tls_context() { SSL_CTX_free(context_); }

tls_stream::tls_stream(tls_context const& context, int descriptor, std::string const& host, session_slot& slot,
                       http_versions offered)
    : host_(host), wire_{descriptor}, ssl_(SSL_new(context.context_)), allowance_(most_messages) {
    auto* const bio = ssl_ != nullptr ? BIO_new(socket_method()) : nullptr;
    if (bio == nullptr) {
        SSL_free(ssl_);
        throw std::bad_alloc();
    }
    BIO_set_data(bio, &wire_);
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_ex_data(ssl_, slot_index(), &slot);
    SSL_set_ex_data(ssl_, stream_index(), this);
    SSL_set_msg_callback(ssl_, on_message);
    SSL_set_msg_callback_arg(ssl_, this);
    // A subject's common name is no host (RFC 9525, section 2): only subject alternative names are looked at.
    SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    // SNI takes names only (RFC 6066, section 3).
    bool const by_address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str()) == 1;
    ERR_clear_error();
    bool const named = by_address ||
                       (SSL_set_tlsext_host_name(ssl_, host.c_str()) == 1 && SSL_set1_host(ssl_, host.c_str()) == 1);
    if (!named) {
        // Without a name to check, any certificate would do.
        SSL_free(ssl_);
        throw std::bad_alloc();
    }
    if (!offer(offered)) {
        SSL_free(ssl_);
        throw std::bad_alloc();
    }
    if (slot.session_ != nullptr) SSL_set_session(ssl_, slot.session_);
    SSL_set_connect_state(ssl_);
}

bool tls_stream::offer(http_versions versions) noexcept {
    static constexpr unsigned char both[] = "\x02h2\x08http/1.1";
    constexpr unsigned size_of_http2 = 3;
    auto const* const first = versions == http_versions::http1 ? both + size_of_http2 : both;
    auto const* const end = versions == http_versions::http2 ? both + size_of_http2 : both + sizeof both - 1;
    return SSL_set_alpn_protos(ssl_, first, static_cast<unsigned>(end - first)) == 0;
}

int tls_stream::on_verified(int good, x509_store_ctx_st* store) noexcept {
    auto const error = X509_STORE_CTX_get_error(store);
    if (good == 0 && (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
        // A refused certificate is not kept by OpenSSL: this is the only moment to look at it.
        auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
        auto* const self = static_cast<tls_stream*>(SSL_get_ex_data(ssl, stream_index()));
        try {
            self->peer_names_ = names_of(X509_STORE_CTX_get0_cert(store));
        } catch (std::bad_alloc const&) {
            self->peer_names_.clear();  // an exception must not pass through OpenSSL; the error is poorer then
        }
    }
    return good;
}

tls_stream::~tls_stream() {
    // Marked as shut down, or SSL_free would call the newest session bad and the next dial could not resume it.
    SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl_);
}

void tls_stream::on_message(int sent, int, int type, void const*, std::size_t, ssl_st* ssl, void* self) noexcept {
    if (sent != 0 || type != SSL3_RT_HANDSHAKE) return;
    auto& s = *static_cast<tls_stream*>(self);
    auto const earned = messages_per_write * s.writes_ + s.received_ / data_per_message;
    s.allowance_ = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(most_messages, s.allowance_ + (earned - std::exchange(s.earned_, earned))));
    if (s.allowance_ > 0) {
        --s.allowance_;
        return;
    }
    s.flooded_ = true;
    // OpenSSL looks at this before each record, and at nothing else of ours: it has hundreds of messages in its buffer.
    SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

tls_status tls_stream::status_of(int result) noexcept {
    if (flooded_) {
        ERR_clear_error();
        return tls_status::flooded;
    }
    switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_NONE: return tls_status::done;
    case SSL_ERROR_WANT_READ: return wire_.empty ? tls_status::want_read : tls_status::again;
    case SSL_ERROR_WANT_WRITE: return tls_status::want_write;
    case SSL_ERROR_ZERO_RETURN: return tls_status::closed;
    default:
        system_error_ = errno;
        error_ = ERR_peek_error();
        ERR_clear_error();
        return tls_status::failed;
    }
}

// SSL_get_error looks at the thread's error queue and at errno: both must be empty before each operation.
void tls_stream::begin() noexcept {
    forget_errors();
    errno = 0;
    wire_.may_read = true;
    wire_.empty = false;
}

tls_status tls_stream::handshake() noexcept {
    begin();
    int const result = SSL_do_handshake(ssl_);
    return result == 1 ? tls_status::done : status_of(result);
}

tls_status tls_stream::write(char const* data, std::size_t size, std::size_t& done) noexcept {
    begin();
    done = 0;
    int const result = SSL_write_ex(ssl_, data, size, &done);
    if (result != 1) return status_of(result);
    ++writes_;
    return tls_status::done;
}

tls_status tls_stream::read(char* data, std::size_t size, std::size_t& done) noexcept {
    begin();
    done = 0;
    int const result = SSL_read_ex(ssl_, data, size, &done);
    if (result != 1) return status_of(result);
    received_ += done;
    return tls_status::done;
}

void tls_stream::keep_buffers(bool keep) noexcept {
    // OpenSSL 3.5 would wipe what SSL_free_buffers finds freed already, and crash.
    if ((SSL_get_options(ssl_) & SSL_OP_CLEANSE_PLAINTEXT) != 0) return;
    if (keep) {
        SSL_clear_mode(ssl_, SSL_MODE_RELEASE_BUFFERS);
    } else {
        SSL_set_mode(ssl_, SSL_MODE_RELEASE_BUFFERS);
        SSL_free_buffers(ssl_);
    }
}

void tls_stream::wipe_what_was_read() noexcept {
    SSL_set_mode(ssl_, SSL_MODE_RELEASE_BUFFERS);
    SSL_set_options(ssl_, SSL_OP_CLEANSE_PLAINTEXT);
}

bool tls_stream::has_pending() const noexcept { return SSL_has_pending(ssl_) == 1; }

bool tls_stream::drained() const noexcept { return wire_.taken && !has_pending(); }

bool tls_stream::resumed() const noexcept { return SSL_session_reused(ssl_) == 1; }

bool tls_stream::chose_http2() const noexcept {
    unsigned char const* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &chosen, &size);
    return size == 2 && std::memcmp(chosen, "h2", 2) == 0;
}

bool tls_stream::fit_for_http2() const noexcept {
    if (SSL_version(ssl_) >= TLS1_3_VERSION) return true;
    auto const* const cipher = SSL_get_current_cipher(ssl_);
    if (cipher == nullptr || SSL_CIPHER_is_aead(cipher) == 0) return false;
    auto const exchange = SSL_CIPHER_get_kx_nid(cipher);
    return exchange == NID_kx_ecdhe || exchange == NID_kx_dhe;
}

std::string tls_stream::what_happened() const {
    if (ERR_GET_LIB(error_) == ERR_LIB_SSL && ERR_GET_REASON(error_) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return "the server closed the connection without close_notify";
    if (error_ != 0) return "TLS failed (" + openssl_text(error_) + ")";
    if (system_error_ == ECONNRESET) return "the server reset the connection";
    if (system_error_ == EPIPE) return "the server closed the connection";
    if (system_error_ != 0) return "the connection failed (" + std::generic_category().message(system_error_) + ")";
    return "the server closed the connection";
}

failure tls_stream::why() const {
    if (flooded_) return {errc::tls_failed, tls_flooded};
    auto const verified = SSL_get_verify_result(ssl_);
    if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH)
        return {errc::certificate_refused, "the certificate is for " + peer_names_ + ", not for " + host_};
    if (verified != X509_V_OK)
        return {errc::certificate_refused,
                std::string("the certificate is not trusted: ") + X509_verify_cert_error_string(verified)};
    auto const reason = ERR_GET_LIB(error_) == ERR_LIB_SSL ? ERR_GET_REASON(error_) : 0;
    if (reason == SSL_R_WRONG_VERSION_NUMBER) return {errc::tls_failed, "the server does not speak TLS"};
    if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)
        return {errc::tls_failed, "the server speaks no TLS of 1.2 or later"};
    if (reason == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
        return {errc::tls_failed, "the server speaks none of the versions that wire_params::http allows"};
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || (error_ == 0 && system_error_ == 0))
        return {errc::tls_failed, "the server closed the connection in the handshake"};
    if (error_ != 0) return {errc::tls_failed, openssl_text(error_)};
    if (system_error_ == ECONNRESET) return {errc::tls_failed, "the server reset the connection in the handshake"};
    return {errc::tls_failed, std::generic_category().message(system_error_)};
}

}  // namespace jirapool::detail
