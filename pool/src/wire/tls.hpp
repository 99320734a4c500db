#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/pool/params.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

// OpenSSL's types, so that only tls.cpp includes its headers.
struct bio_method_st;
struct bio_st;
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
    ssl_ctx_st* context_ = nullptr;
};

enum class tls_status : std::uint8_t {
    done,
    again,  ///< nothing to wait for: TLS had its share of the socket's bytes, or a message of its own; look at the clock, and go on
    want_read,
    want_write,
    closed,
    flooded,  ///< the peer sends messages of TLS's own without end: see tls_flooded
    failed
};

/// TLS does not go on.
constexpr bool over(tls_status s) noexcept { return s >= tls_status::closed; }

/// The rule that such a peer broke.
inline constexpr char const* tls_flooded = "the server sent more messages of TLS's own than any has use for";

/** TLS over a non-blocking socket that somebody else owns and waits on.

    OpenSSL works on the descriptor itself: asio::ssl::stream would keep four buffers of 17 KiB per channel and copy
    everything once more (measured: 1 to 2 us a call). */
class tls_stream {
public:
    /// `slot` must outlive the stream. `host`: a DNS name or an IP address, which must stand in the certificate. `offered`: by ALPN.
    tls_stream(tls_context const& context, int descriptor, std::string const& host, session_slot& slot,
               http_versions offered = http_versions::http1);
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
    /// All that had come is read: what the socket is told of from now on is new. Not where the peer has ended what it sends, which is
    /// told with the last bytes or never.
    bool drained() const noexcept;
    /// The socket was told of more: the last bytes were not the last.
    void on_more() noexcept { wire_.taken = false; }
    bool resumed() const noexcept;
    /// Behind the handshake: the server chose HTTP/2. One that says nothing of versions speaks HTTP/1.1 (RFC 9113, section 3.2).
    bool chose_http2() const noexcept;
    /// What RFC 9113, section 9.2, asks of TLS beside what is so for all of ours: in TLS 1.2 ephemeral keys and a cipher that
    /// authenticates.
    bool fit_for_http2() const noexcept;
    /// After `failed` of handshake: certificate_refused or tls_failed, and in words why.
    failure why() const;
    /// After `failed` or `closed` of read or write, the beginning of a sentence: "the server reset the connection".
    std::string what_happened() const;

private:
    friend class tls_context;
    /// What the BIO works on.
    struct wire {
        int descriptor;
        bool may_read = false;  ///< not yet in this operation
        bool empty = false;     ///< the descriptor itself said so: only then will it tell of more
        bool taken = false;     ///< the last bytes were fewer than there was room for: all that there were
    };
    static wire& wire_of(bio_st* b) noexcept;
    static int bio_write(bio_st* b, char const* data, int size) noexcept;
    static int bio_read(bio_st* b, char* data, int size) noexcept;
    static bio_method_st* socket_method();

    bool offer(http_versions versions) noexcept;
    void begin() noexcept;
    tls_status status_of(int result) noexcept;
    static void on_message(int sent, int version, int type, void const* data, std::size_t size, ssl_st* ssl,
                           void* self) noexcept;
    static int on_verified(int good, x509_store_ctx_st* store) noexcept;

    std::string host_;
    wire wire_;
    ssl_st* ssl_;
    std::string peer_names_;   // when the certificate is for somebody else
    unsigned long error_ = 0;  // OpenSSL's, at the moment of `failed`
    int system_error_ = 0;
    std::uint64_t writes_ = 0;    // that sent something
    std::uint64_t received_ = 0;  // bytes of the peer's data
    std::uint64_t earned_ = 0;    // messages by both so far
    std::uint32_t allowance_;     // messages that the peer may still send
    bool flooded_ = false;
};

}  // namespace jirapool::detail
