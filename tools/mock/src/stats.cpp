#include <jirapool/mock/stats.hpp>

#include "text.hpp"

#include <fmt/format.h>

#include <iterator>

namespace jirapool::mock {
namespace {

// Appends members of one JSON object after the other.
class object_writer {
public:
    explicit object_writer(std::string& out) : out_(out) { out_ += '{'; }
    template <class T>
    void member(std::string_view name, T value) {
        key(name);
        fmt::format_to(std::back_inserter(out_), "{}", value);
    }
    void key(std::string_view name) {
        if (out_.back() != '{') out_ += ',';
        append_json(out_, name);
        out_ += ':';
    }
    template <class Map>
    void map(std::string_view name, Map const& values) {
        key(name);
        object_writer inner(out_);
        for (auto const& [k, v] : values) inner.member(fmt::format("{}", k), v);
        inner.end();
    }
    void end() { out_ += '}'; }

private:
    std::string& out_;
};

}  // namespace

std::string to_json(stats const& s) {
    std::string out;
    object_writer all(out);
    all.key("requests");
    object_writer requests(out);
    requests.member("total", s.requests);
    requests.member("site", s.site_requests);
    requests.member("gateway", s.gateway_requests);
    requests.member("auth", s.auth_requests);
    requests.member("unknown_host", s.unknown_host_requests);
    requests.member("intercepted", s.intercepted);
    requests.member("bad", s.bad_requests);
    requests.map("by_status", s.by_status);
    requests.map("by_route", s.by_route);
    requests.end();
    all.member("unauthorized", s.unauthorized);
    all.member("anonymous_answers", s.anonymous_answers);
    all.map("limited", s.limited);
    all.member("limited_total", s.limited_total);
    all.member("isolation_violations", s.isolation_violations);
    all.member("sni_mismatches", s.sni_mismatches);
    all.member("injected_errors", s.injected_errors);
    all.member("injected_closes", s.injected_closes);
    all.member("scenes", s.scenes);

    all.key("connections");
    object_writer connections(out);
    connections.member("accepted", s.connections_accepted);
    connections.member("open", s.connections_open);
    connections.member("max_open", s.connections_max_open);
    connections.member("handshakes", s.handshakes);
    connections.member("handshakes_resumed", s.handshakes_resumed);
    connections.member("handshakes_failed", s.handshakes_failed);
    connections.member("http1", s.connections_http1);
    connections.member("http2", s.connections_http2);
    connections.end();

    all.key("http2");
    object_writer http2(out);
    http2.member("streams", s.streams);
    http2.member("streams_max_open", s.streams_max_open);
    http2.member("streams_untouched", s.streams_untouched);
    http2.member("goaways", s.goaways);
    http2.member("resets_sent", s.resets_sent);
    http2.member("resets_received", s.resets_received);
    http2.map("faults", s.http2_faults);
    http2.end();
    all.member("ids_acted_on", s.ids_acted_on);
    all.member("ids_acted_on_again", s.ids_acted_on_again);

    all.key("tokens");
    object_writer tokens(out);
    tokens.member("refreshes", s.refreshes);
    tokens.member("exchanges", s.token_exchanges);
    tokens.member("min_refreshes_per_credential", s.min_refreshes_per_credential);
    tokens.member("max_refreshes_per_credential", s.max_refreshes_per_credential);
    tokens.member("max_in_flight_per_credential", s.max_in_flight_per_credential);
    tokens.end();

    all.key("webhooks");
    object_writer webhooks(out);
    webhooks.member("personal", s.webhook_requests_personal);
    webhooks.member("service", s.webhook_requests_service);
    webhooks.member("oauth", s.webhook_requests_oauth);
    webhooks.member("unknown", s.webhook_requests_unknown);
    webhooks.member("refused", s.webhook_requests_refused);
    webhooks.end();

    all.key("buckets");
    object_writer buckets(out);
    buckets.member("touched", s.buckets_touched);
    buckets.member("admitted", s.bucket_admitted);
    buckets.member("refused", s.bucket_refused);
    buckets.member("permitted", s.bucket_permitted);
    buckets.member("busy", s.busy_buckets);
    buckets.member("busy_admitted", s.busy_admitted);
    buckets.member("busy_refused", s.busy_refused);
    buckets.member("busy_permitted", s.busy_permitted);
    buckets.member("busy_used", s.busy_used);
    buckets.end();
    all.end();
    out += '\n';
    return out;
}

}  // namespace jirapool::mock
