#pragma once

#include <jirapool/core/event.hpp>
#include <jirapool/core/params.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jirapool {

/// How channels to one origin are kept.
struct pool_params {
    /// The most channels to one origin per shard, open and being dialled. The gateway is one origin for all its sites. Over HTTP/2
    /// those count too that the server has told to end and that still carry exchanges: with 1, calls wait for the last of these.
    std::size_t max_channels = 256;
    /// The most dials in flight per origin: a handshake costs as much CPU as 35 calls, on both sides. As long as an origin may
    /// speak HTTP/2 and none of its channels was ever open, it is 1: one channel may be enough.
    std::size_t max_dialing = 16;
    /// The largest share of an origin's max_channels that one site may have, though at least one channel: its next call waits
    /// even while channels are free. Fairness counts turns, and a site whose searches take 30 s would come to hold
    /// all channels turn by turn; so half of them stay for the others. 128 carry 400 calls/s of 300 ms, more than Jira
    /// lets one site make. Over HTTP/2, where a channel carries many exchanges, it is that share of all the exchanges that
    /// max_channels carry, each as many as the newest may (of one channel where dial_at_stream_limit is false): so one site's
    /// calls leave as many to the others. 1: no cap. Above 0, at most 1.
    double max_share_of_site = 0.5;
    /// The most calls that may wait for a channel of one origin, of one site max_share_of_site of them; more are refused with
    /// queue_full. There is room for the 10,000 calls of one site that a renewed token lets go at once.
    std::size_t max_queue = 20'000;
    /// An unused channel is closed after this. Atlassian's own limit is not published; 60 s is safe (core/doc/jira-cloud.md, 4).
    std::chrono::milliseconds idle_timeout{55'000};
    /// A channel is retired after this, less up to a fifth by chance: so DNS changes are followed, never all at once.
    /// One that is in use is replaced by a dial in the background before.
    std::chrono::milliseconds max_lifetime{600'000};
    /// The number of idle channels that are kept ready per origin and shard, from its first use until the client stops, so that
    /// a burst meets open ones. It is 0, as each costs a handshake per idle_timeout, and a gateway that is busy keeps enough anyway.
    std::size_t min_idle = 0;
    /// After a failed dial no other begins for half to all of this, doubled with each failure in a row up to
    /// dial_backoff_max; then one alone tries. An origin that refuses is not dialled at the rate of its calls.
    std::chrono::milliseconds dial_backoff{100};
    /// The longest wait between dials. A call that comes meanwhile waits at most so long for word of the origin, which is less
    /// than most callers' patience.
    std::chrono::milliseconds dial_backoff_max{5'000};
    /// Whether a call dials another channel, within max_channels, when all channels carry as many exchanges as they may
    /// (wire_params::max_streams and what the server allows). Else it waits until one ends. Over HTTP/1.1 it always dials.
    bool dial_at_stream_limit = true;
    /// The number of dials that begin in a second for what no call waits for, of a runtime, whose shards share them out evenly:
    /// each of thousands of sites that are added at once is asked for its cloud ID, over a channel of its own. Calls' dials count,
    /// and wait for none of these. Greater than 0.
    double background_dials_per_second = 45;
};

/// The versions of HTTP that may be spoken with an origin.
enum class http_versions : std::uint8_t {
    either,  ///< HTTP/2 where the server offers it, else HTTP/1.1
    http1,   ///< HTTP/1.1 alone
    http2,   ///< HTTP/2 alone
};

/// Limits on each step of the wire. The call's own deadline holds over all of them; failure::rule() names the one that was hit.
struct wire_params {
    /// How long it may take to resolve the origin's name.
    std::chrono::milliseconds resolve_timeout{5'000};
    /// For how long after a connection a host's addresses may be dialled again while its name cannot be resolved: name servers
    /// that are silent or fail. Such a dial waits for a quarter of resolve_timeout only. Not when they say that the name has no
    /// address, for that is an answer. An hour outlasts most outages of name servers; certificates are checked as ever. 0 means never.
    std::chrono::milliseconds stale_addresses{3'600'000};
    /// How long a TCP connection may take, over all of a host's addresses together, which are tried as RFC 8305 says.
    std::chrono::milliseconds connect_timeout{5'000};
    /// How long an address has to connect before the next one is tried beside it: RFC 8305, section 5, recommends 250 ms.
    std::chrono::milliseconds attempt_delay{250};
    /// How long the TLS handshake may take.
    std::chrono::milliseconds tls_timeout{5'000};
    /// How long a connection is silent before TCP probes it: a peer that vanished is noticed after idle + interval where
    /// tcp_user_timeout is set and shorter, else after idle + probes x interval. 0 means no probes.
    std::chrono::seconds tcp_keep_alive_idle{20};
    /// The time between two probes.
    std::chrono::seconds tcp_keep_alive_interval{5};
    /// The number of probes without an answer behind which the connection is lost.
    std::uint32_t tcp_keep_alive_probes = 3;
    /// How long what was sent may stay without TCP's acknowledgement, or wait for a peer that takes nothing, until the channel is
    /// lost: Linux sends no probe meanwhile, but sends it again for a quarter of an hour. Twelve seconds are six or seven such
    /// attempts. Where this is set it also decides when probes have failed. 0 means the system's own limit.
    std::chrono::milliseconds tcp_user_timeout{12'000};
    /// How long the whole request may take to be written: 10 MB, the largest that Jira's edge takes, need a line of 1.4 Mbit/s.
    /// Of a body that comes from a source it is the limit for each piece of 64 KiB.
    std::chrono::milliseconds write_timeout{60'000};
    /// How long an answer's first byte may take from the request's last. Searches of large sites were seen to take 30 s and more.
    std::chrono::milliseconds first_byte_timeout{60'000};
    /// How long an answer may take from its first byte to its last. max_body needs a line of 4.5 Mbit/s. Of a body that goes to
    /// a sink it is the limit from each piece to the next, without the time that the sink takes.
    std::chrono::milliseconds body_timeout{120'000};
    /// The bytes per second that an answer must bring once it began, in each min_rate_window of its own: a server that drips
    /// holds a channel for nothing. The slowest modems bring 20 times this. 0 means no such limit.
    std::uint32_t min_rate = 128;
    /// The time over which min_rate is measured: long enough for a server that computes between two pieces of an answer.
    std::chrono::milliseconds min_rate_window{20'000};
    /// The most bytes of an answer's status line and headers, and of its trailers. 1 KiB to 1 MiB; CloudFront passes at most
    /// 20 KB.
    std::uint32_t max_head = 64u << 10;
    /// The most headers of an answer, trailers included. Jira's answers have 20 to 40.
    std::uint32_t max_headers = 128;
    /// The most bytes of a body, as it came and decoded; one that goes to a sink may have more. At least 1 KiB.
    std::uint64_t max_body = 64u << 20;
    /// How many times its size on the wire a body of more than 1 MiB may be once decoded. JSON of many alike issues reaches
    /// 50; a bomb of zeros 1,000 (gzip) or a million (brotli). At least 1.
    std::uint32_t max_ratio = 250;
    /// Whether gzip and brotli are offered. They cost some 10 us for each 10 KB of body: switch them off for a proxy that is near.
    bool compression = true;
    /// Which versions of HTTP a TLS handshake offers (ALPN, RFC 7301). Dials to a server that speaks none of
    /// them end with tls_failed. A host whose HTTP/2 breaks the rules three times in a row, or which asks for HTTP/1.1, is
    /// spoken to in that for ten minutes, where both are allowed. Each shard judges by its own channels, so a host brings one
    /// event per shard (event::kind::http1_instead, jirapool_events_total{kind="http1_instead"}). h2c is never spoken.
    http_versions http = http_versions::either;
    /// The most exchanges that run at once on one channel over HTTP/2; the server's SETTINGS_MAX_CONCURRENT_STREAMS may allow
    /// fewer. 1 to 2147483647.
    std::uint32_t max_streams = 256;
    /// The most bytes of one answer's body that the server may send ahead of what was taken: over HTTP/2 a sink that is slow holds
    /// as much. 1 MiB brings a page of as much in one round trip. 64 KiB to 2 GiB - 1 (RFC 9113, section 6.9).
    std::uint32_t stream_window = 1u << 20;
    /// The same of all answers of one channel together. At least stream_window, at most 2 GiB - 1.
    std::uint32_t channel_window = 16u << 20;
};

/// How the state of connections is looked after (connection::status).
struct health_params {
    /// Whether each connection is asked now and then whether it works, also without traffic: `GET /rest/api/3/myself`, once in
    /// verify_every unless Jira answered it well since. Without it a credential that nobody uses may be dead for long unseen.
    bool verify = false;
    /// How often: each connection at least once in this time, evenly spread. At least a minute.
    std::chrono::seconds verify_every{3'600};
};

/// Whom to trust.
struct tls_params {
    /// The PEM file with the certificate authorities to trust instead of the system's, for tests and intercepting proxies; empty
    /// means the system's. It is a regular file, without a NUL in its path.
    std::string ca_file;
};

/** Sends an origin's connections to another address, like curl's --connect-to: names, SNI and certificate checks stay
    those of the real origin. Only code (or an explicit tool flag) can do this, never a connections file. */
struct address_override {
    /// The host of the origin that it is for. Empty means every origin.
    std::string host;
    /// The IP address to connect to.
    std::string address;
    /// The port to connect to.
    std::uint16_t port = 443;
};

/// What is told of single sites and connections (connections::overview), so that metrics name them.
struct overview_params {
    /// Sites that are followed whether they are in trouble or not, by cloud ID or host as their connections are configured.
    std::vector<std::string> sites;
    /// The most sites that are followed, those of the list included: each is some 15 series. The shards share them out evenly.
    /// At most 4,096, and 255 to a shard.
    std::size_t max_sites = 64;
    /// The most connections in trouble that are told, and the most whose credential ends soon: each is a series or two.
    /// At most 100,000.
    std::size_t max_connections = 128;
};

class span_listener;

/// Everything that can be tuned, and what a client is told.
struct client_params {
    /// What is sent as User-Agent. Jira refuses writes from browser-like agents ("Mozilla/…"), so name your product and a contact.
    std::string user_agent = "jirapool/0.1";
    pool_params pool;
    wire_params wire;
    tls_params tls;
    limit_params limits;
    token_params tokens;
    retry_params retries;
    health_params health;
    overview_params overview;
    /// Where connections go in place of their origins; the first one for a host counts.
    std::vector<address_override> connect_to;
    /// A function that is told of events. It is called on a shard's thread, on several at the same time where there are several,
    /// and must not block; what it throws is ignored.
    std::function<void(event const&)> on_event;
    /// Who is told of each call's and each exchange's start and end, for traces (pool/spans.hpp). Null: nobody, and it costs nothing.
    std::shared_ptr<span_listener> spans;
    /// A function that is told what each new access token may, as the token endpoint says it: a connection's id and scopes with spaces
    /// between them ("read:jira-work write:jira-work"), at most 4 KiB of visible ASCII; empty when it does not say. Nothing of it is
    /// kept. It is called as on_event is, for OAuth connections alone: nobody tells what an API token may.
    std::function<void(std::string_view connection, std::string_view scopes)> on_token_scopes;
    /// Whether the executor given to `client` runs one handler at a time already, so that no strand is made.
    bool executor_is_serial = false;
    /// A seed that fixes all jitter, for tests. Without one each shard is seeded by the operating system, differently.
    std::optional<std::uint64_t> seed;
};

/// Checks the params. @return nullptr, or the rule that is broken: "pool_params::max_channels must be at least 1".
char const* why_invalid(client_params const& p) noexcept;

}  // namespace jirapool
