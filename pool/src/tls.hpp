#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/pool/params.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

// OpenSSL's types, so that only tls.cpp includes its headers.
struct ssl_ctx_st;
struct ssl_st;
struct ssl_session_st;
struct x509_store_ctx_st;

namespace jirapool::detail {

/// The newest TLS session of one origin and TLS setting, offered when the next channel is dialled.
class session_slot {
public:
    session_slot() = default;
    session_slot(session_slot const&) = delete;
    session_slot& operator=(session_slot const&) = delete;
    ~session_slot();

private:
    friend class tls_stream;
    friend class tls_context;
    void store(ssl_session_st* s) noexcept;  // takes ownership
    ssl_session_st* session_ = nullptr;
};

/// One TLS setting: TLS 1.2 at least, peers verified. Shared by all shards; immutable once made.
class tls_context {
public:
    /// Throws std::invalid_argument when the CA file cannot be used.
    explicit tls_context(tls_params const& p);
    ~tls_context();
    tls_context(tls_context const&) = delete;
    tls_context& operator=(tls_context const&) = delete;

private:
    friend class tls_stream;
    ssl_ctx_st* context_;
};

enum class tls_status : std::uint8_t { done, want_read, want_write, closed, failed };

/** TLS over a non-blocking socket that somebody else owns and waits on.

    OpenSSL works on the descriptor itself: asio::ssl::stream would keep four buffers of 17 KiB per channel and copy
    everything once more (measured: 1 to 2 us a call). */
class tls_stream {
public:
    /// `slot` must outlive the stream. `host`: a DNS name or an IP address, which must stand in the certificate.
    tls_stream(tls_context const& context, int descriptor, std::string const& host, session_slot& slot);
    ~tls_stream();
    tls_stream(tls_stream const&) = delete;
    tls_stream& operator=(tls_stream const&) = delete;

    tls_status handshake() noexcept;
    /// One write of at most `size` bytes; `done` is how many were taken.
    tls_status write(char const* data, std::size_t size, std::size_t& done) noexcept;
    /// `closed`: the peer ended the stream with close_notify. A bare end of file is `failed`: the answer may be cut.
    tls_status read(char* data, std::size_t size, std::size_t& done) noexcept;

    /// Whether the memory that reading and writing take, 17 KB each, is kept between them, or freed each time: as at first.
    void keep_buffers(bool keep) noexcept;
    /// What was read is wiped there from now on: else OpenSSL has it until the next record comes. No buffer is kept then.
    void wipe_what_was_read() noexcept;

    /// Bytes were received that `read` has not looked at.
    bool has_pending() const noexcept;
    bool resumed() const noexcept;
    /// After `failed` of handshake: certificate_refused or tls_failed, and in words why.
    failure why() const;
    /// After `failed` or `closed` of read or write, the beginning of a sentence: "the server reset the connection".
    std::string what_happened() const;

private:
    friend class tls_context;
    tls_status status_of(int result) noexcept;
    static int on_verified(int good, x509_store_ctx_st* store) noexcept;

    std::string host_;
    ssl_st* ssl_;
    std::string peer_names_;   // when the certificate is for somebody else
    unsigned long error_ = 0;  // OpenSSL's, at the moment of `failed`
    int system_error_ = 0;
};

}  // namespace jirapool::detail
