#include "jira_model.hpp"

#include "support/span_book.hpp"

#include "engine/base64.hpp"

#include <jirapool/core/tenant_info.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace jirapool::sim {

using namespace std::chrono_literals;

namespace {

std::string uuid_of(std::size_t n) {
    char text[48];
    std::snprintf(text, sizeof text, "00000000-0000-4000-8000-%012zx", n);
    return text;
}

void append(response& r, std::string_view body) { r.mutable_body().append(body.data(), body.size()); }

constexpr auto nothing = static_cast<std::size_t>(-1);

std::size_t number_behind(std::string_view text, std::string_view marker) {
    auto const at = text.find(marker);
    std::size_t n = nothing;
    if (at != std::string_view::npos) std::from_chars(text.data() + at + marker.size(), text.data() + text.size(), n);
    return n;
}

std::string http_date(wall_time t) {
    auto const seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(t.time_since_epoch())));
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[40];
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return text;
}

std::chrono::seconds until_next_hour(wall_time wall) {
    return std::chrono::ceil<std::chrono::seconds>(std::chrono::floor<std::chrono::hours>(wall) + 1h - wall);
}

steady_duration seconds_as_duration(double seconds) {
    return std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(seconds));
}

constexpr char const* burst = "jira-burst-based";
constexpr char const* per_issue = "jira-per-issue-on-write";
constexpr char const* tenant_based = "jira-quota-tenant-based";
constexpr char const* global_based = "jira-quota-global-based";
constexpr char const* account_cost = "jira-cost-based";
constexpr char const* account_calls = "jira-max-concurrent-threads-across-all-instances-per-tenant-per-user";

/// An issue's key as Jira reads it.
std::string key_of(std::string_view text) {
    std::string key;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%' && i + 2 < text.size()) {
            int value = 0;
            std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
            c = static_cast<char>(value);
            i += 2;
        }
        key += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return key;
}

}  // namespace

jira_model::jira_model(model_params p, std::uint64_t seed) : params_(p), random_(seed) {
    sites_.resize(params_.sites);
    apps_.resize(params_.sites / params_.sites_per_app + 1);
    for (std::size_t i = 0; i < sites_.size(); ++i) {
        sites_[i].cloud_id = uuid_of(i);
        sites_[i].claims = i;
        if (kind_of(i) == connection_kind::personal_api_token) {
            sites_[i].host = "site-" + std::to_string(i) + ".atlassian.net";
            by_place_[sites_[i].host] = i;
        } else {
            by_place_["/ex/jira/" + sites_[i].cloud_id] = i;
        }
    }
}

connection_kind jira_model::kind_of(std::size_t n) const noexcept {
    if (!params_.all_kinds || n % 4 < 2) return connection_kind::service_oauth;
    return n % 4 == 2 ? connection_kind::service_api_token : connection_kind::personal_api_token;
}

std::string jira_model::secret_of(std::size_t n, int version) const {
    return "secret-of-" + std::to_string(n) + "-" + std::to_string(version);
}

connection_config jira_model::config(std::size_t n) const {
    auto const& s = sites_.at(n);
    auto const id = "site-" + std::to_string(n);
    secret key(secret_of(n, s.secrets));
    switch (kind_of(n)) {
    case connection_kind::personal_api_token:
        return make_connection_config(id,
                                      personal_api_token("https://" + s.host, "somebody@example.com", std::move(key)))
            .value();
    case connection_kind::service_api_token:
        return make_connection_config(id, service_api_token(s.cloud_id, std::move(key))).value();
    case connection_kind::service_oauth: break;
    }
    auto const client = "client-" + std::to_string(app_of(n));
    return make_connection_config(id, service_oauth(s.cloud_id, client, std::move(key))).value();
}

void jira_model::begin_anew(std::size_t n) {
    auto& s = sites_.at(n);
    s.first_secret = ++s.secrets;
    s.refreshing.clear();
    s.no_refresh_before = steady_time::min();
    if (!params_.pairs) return;
    // What only it was told of the site is forgotten with it.
    auto const kind = kind_of(n);
    auto& house = house_of(n);
    for (auto& b : house.buckets) b.second.client(kind) = {};
    for (auto& i : house.issues) i.second.client(kind) = {};
    house.all.client(kind) = {};
    s.account.client(kind) = {};
}

void jira_model::note(std::string violation) {
    if (violations.size() < 20) violations.push_back(std::move(violation));
}

std::size_t jira_model::site_of(std::string_view host, detail::exchange_input const& in) const {
    auto const found = by_place_.find(std::string(host == gateway_host ? in.base_path : host));
    return found == by_place_.end() ? nothing : found->second;
}

std::size_t jira_model::site_of_token_request(detail::exchange_input const& in) {
    auto const n = number_behind(in.body, "client_secret=secret-of-");
    auto const client = number_behind(in.body, "client_id=client-");
    if (n >= sites_.size() || client != app_of(n)) note("a client's secret came with another client's id");
    return std::min(n, sites_.size() - 1);
}

int jira_model::secret_version(std::size_t n, detail::exchange_input const& in) const {
    return static_cast<int>(number_behind(in.body, "client_secret=secret-of-" + std::to_string(n) + "-"));
}

bool jira_model::of_present_life(std::size_t n, detail::exchange_input const& in) const {
    return secret_version(n, in) >= sites_[n].first_secret;
}

void jira_model::begun(std::string_view host, detail::exchange_input const& in, steady_time now) {
    if (in.host != host) note("a request for one host was written to another's channel");
    if (spans != nullptr && host != auth_host && in.target != tenant_info_target) spans->on_sent(in.traceparent);
    if (auto const n = site_of(host, in); host != auth_host && n < sites_.size()) ++sites_[n].in_flight;
    if (host != auth_host) return;
    auto const n = site_of_token_request(in);
    auto& s = sites_[n];
    if (!of_present_life(n, in)) return;
    auto const overtaken = std::count_if(s.refreshing.begin(), s.refreshing.end(),
                                         [&](refresh const& r) { return r.tokens_read == s.tokens_read; });
    if (overtaken > 0 && now < s.refreshing.back().begun + overtake_after)
        note("two refreshes of one credential were in flight");
    s.refreshing.push_back({&in, now, s.tokens_read});
    if (s.refreshing.size() > 2) note("three refreshes of one credential were in flight");
    most_refreshing = std::max(most_refreshing, s.refreshing.size());
    if (now < s.no_refresh_before && s.secrets == s.secrets_at_failure) note("a refresh did not wait for its backoff");
}

void jira_model::ended(std::string_view host, detail::exchange_input const& in) {
    if (auto const n = site_of(host, in); host != auth_host && n < sites_.size()) --sites_[n].in_flight;
    if (host != auth_host) return;
    auto const n = site_of_token_request(in);
    std::erase_if(sites_[n].refreshing, [&](refresh const& r) { return r.in == &in; });
}

jira_model::reply jira_model::handle(std::string_view host, detail::exchange_input const& in, steady_time sent,
                                     steady_time now, wall_time wall) {
    hash(static_cast<std::uint64_t>(now.time_since_epoch().count()));
    if (reply r; script && script(host, in, r)) return r;
    if (host == auth_host) return exchange_token(site_of_token_request(in), now);
    auto const n = site_of(host, in);
    if (n < sites_.size() && in.target != tenant_info_target) return answer_call(n, in, sent, now, wall);
    if (n < sites_.size()) {
        if (!in.authorization.empty()) note("a credential was sent with the question for the cloud ID");
        return tell_name(n);
    }
    note("a request left every base path");
    reply r;
    r.answer.set_status(404);
    return r;
}

jira_model::reply jira_model::tell_name(std::size_t n) {
    reply r;
    r.answer.set_status(200);
    if (happens(params_.faults.name_down)) {
        static constexpr char const* odd[] = {"", "<html>", "{}", R"({"cloudId":null})", R"({"cloudId":"../x"})"};
        auto const which = random_() % (std::size(odd) + 1);
        if (which == std::size(odd)) r.answer.set_status(503);
        else append(r.answer, odd[which]);
        return r;
    }
    auto const claimed = sites_[n].claims;
    append(r.answer, "{\"cloudId\":\"" + (claimed == n ? house_of(n) : sites_.at(claimed)).cloud_id + "\"}");
    return r;
}

jira_model::reply jira_model::exchange_token(std::size_t n, steady_time now) {
    ++token_requests;
    token_request_times.push_back(now);
    auto& s = sites_[n];
    hash(n);
    reply r;
    if (happens(params_.faults.token_down)) {
        r.answer.set_status(503);
        return r;
    }
    r.answer.set_status(200);
    if (happens(params_.faults.token_odd)) {
        static constexpr char const* odd[] = {
            "",
            "<html>Service unavailable</html>",
            "{}",
            R"({"access_token":"","token_type":"Bearer","expires_in":3600})",
            R"({"access_token":"x y","token_type":"Bearer","expires_in":3600})",
            R"({"access_token":"x","token_type":"Bearer","expires_in":-5})",
            R"({"access_token":"x","token_type":"mac"})",
        };
        append(r.answer, odd[random_() % std::size(odd)]);
        return r;
    }
    ++s.issued;
    ++refreshes;
    refresh_times.push_back(now);
    s.expires = now + params_.token_lifetime;
    auto const token = "t-" + std::to_string(n) + "-" + std::to_string(s.issued);
    // A string instead of a number was seen; so was an answer without it.
    auto const lifetime = std::to_string(params_.token_lifetime.count());
    append(r.answer, "{\"access_token\":\"" + token + "\",\"token_type\":\"Bearer\",\"expires_in\":" +
                         (s.issued % 7 == 3 ? "\"" + lifetime + "\"" : lifetime) + "}");
    return r;
}

// Of an API token's secrets, from 1; 0: it is none of them.
int jira_model::version_sent(std::size_t n, detail::exchange_input const& in) const {
    for (int version = sites_[n].secrets; version > 0; --version) {
        std::string value = "Bearer " + secret_of(n, version);
        if (kind_of(n) == connection_kind::personal_api_token) {
            value = "Basic ";
            detail::append_base64(value, "somebody@example.com:" + secret_of(n, version));
        }
        if (in.authorization == value) return version;
    }
    return 0;
}

bool jira_model::credential_is_good(std::size_t n, detail::exchange_input const& in, steady_time sent) {
    auto& s = sites_[n];
    if (kind_of(n) != connection_kind::service_oauth) {
        bool const good = version_sent(n, in) > 0;
        if (!good) note("a credential came to another site than its own");
        return good;
    }
    auto const mine = "Bearer t-" + std::to_string(n) + "-";
    if (!in.authorization.starts_with(mine)) {
        note("a credential came to another site than its own");
        return false;
    }
    auto const generation = number_behind(in.authorization, mine);
    if (generation == s.issued && sent >= s.expires) note("a token was sent that had expired");
    if (generation < s.delivered && sent > s.delivered_at) note("an older token was sent though a newer one was held");
    return generation > s.revoked && !happens(params_.faults.early_401);
}

void jira_model::refuse(response& answer, char const* reason, std::chrono::seconds retry_after, wall_time wall) {
    answer.set_status(429);
    auto const seconds = std::to_string(std::max(retry_after, 1s).count());
    if (!happens(params_.faults.odd_429)) {
        if (reason) answer.add_header("RateLimit-Reason", reason);
        answer.add_header("Retry-After", seconds);
        return;
    }
    auto const shape = random_() % 6;
    if (shape != 0 && reason) answer.add_header("RateLimit-Reason", reason);
    switch (shape) {
    case 0: answer.add_header("Retry-After", seconds); break;  // no reason
    case 1: break;                                             // no time
    case 2: answer.add_header("Retry-After", "0"); break;
    case 3:
        answer.add_header("Date", http_date(wall));
        answer.add_header("Retry-After", http_date(wall + std::max(retry_after, 1s) + 1s));
        break;
    case 4: answer.add_header("Retry-After", "soon"); break;
    default:
        answer.add_header("Retry-After", seconds);
        append(answer, "<html><body class=\" error-page error429\"></body></html>");
        break;
    }
}

// False: nothing is left in this hour, and the answer says so.
bool jira_model::spend_points(quota& q, double limit, char const* name, double cost, wall_time wall, response& answer) {
    if (limit <= 0) return true;
    auto const hour = std::chrono::floor<std::chrono::hours>(wall).time_since_epoch().count();
    if (q.hour != hour) {
        q.hour = hour;
        q.used = 0;
    }
    bool const enough = q.used + cost <= limit;
    if (enough) q.used += cost;
    auto const policy = "\"" + std::string(name) + "\";q=" + std::to_string(static_cast<long>(limit)) + ";w=3600";
    answer.add_header("RateLimit-Policy", policy);
    if (q.used > 0.8 * limit) {
        answer.add_header("RateLimit", "\"" + std::string(name) +
                                           "\";r=" + std::to_string(static_cast<long>(limit - q.used)) +
                                           ";t=" + std::to_string(until_next_hour(wall).count()));
        answer.add_header("X-RateLimit-NearLimit", "true");
    }
    return enough;
}

void jira_model::bucket::fill(model_params const& p, double rate, double size, steady_time now) noexcept {
    std::chrono::duration<double> since = now - last;
    if (p.whole_seconds)
        since = std::chrono::floor<std::chrono::seconds>(now) - std::chrono::floor<std::chrono::seconds>(last);
    tokens = std::min(size, tokens + rate * since.count());
    last = now;
}

jira_model::reply jira_model::answer_call(std::size_t n, detail::exchange_input const& in, steady_time sent,
                                          steady_time now, wall_time wall) {
    reply r;
    auto& s = sites_[n];
    auto& answer = r.answer;
    ++requests;
    ++s.requests;
    hash(n);
    if (n == sick_site) {
        ++requests_of_sick;
        answer.set_status(503);
        return r;
    }
    if (happens(params_.faults.lost_before)) {
        r.lost = true;
        return r;
    }
    if (!credential_is_good(n, in, sent)) {
        ++unauthorized;
        ++s.refused;
        answer.set_status(401);
        return r;
    }

    auto const match = classify_route(in.method, in.target);
    auto& app = apps_[app_of(n)];
    auto& house = house_of(n);
    auto& b = house.buckets[match.route];
    auto* const written = route(match.route).writes_issue && !match.issue.empty() ? &house.issues[key_of(match.issue)]
                                                                                  : nullptr;
    auto const kind = kind_of(n);
    bool const oauth = kind == connection_kind::service_oauth;
    if (!unlimited_client) {
        if (b.client(kind).forbids(sent)) note("a request entered a paused route");
        if (written && written->client(kind).forbids(sent)) note("a request entered a paused issue");
        if (house.all.client(kind).forbids(sent)) note("a request entered a paused site");
        if (s.account.client(kind).forbids(sent)) note("a request of an account that was limited");
        if (oauth && s.tenant.client(kind).forbids(sent)) note("a request entered a site whose quota was used up");
        if (oauth && app.client(kind).forbids(sent)) note("a request of an app whose quota was used up");
    }

    double const rate = in.method == method::get ? params_.get_rate : params_.post_rate;
    double const size = params_.bucket > 0 ? params_.bucket : rate;
    if (b.tokens < 0) {
        b.tokens = size;
        b.next_other = now;
    }
    if (params_.others > 0) {
        for (; b.next_other <= now;
             b.next_other += seconds_as_duration(-std::log(1 - uniform(random_)) / params_.others)) {
            b.fill(params_, rate, size, b.next_other);
            ++(b.tokens < 1 ? others_refused : others_accepted);
            if (b.tokens >= 1) b.tokens -= 1;
        }
    }
    b.fill(params_, rate, size, now);
    answer.add_header("X-RateLimit-Limit", std::to_string(static_cast<int>(rate)));

    auto const refused = [&](char const* reason, steady_time until) {
        ++limited;
        ++s.refused;
        refuse(answer, reason, std::chrono::ceil<std::chrono::seconds>(until - now), wall);
        return std::move(r);
    };
    for (closure const* const c : {static_cast<closure const*>(&house.all), static_cast<closure const*>(&s.account),
                                   static_cast<closure const*>(&s.tenant), static_cast<closure const*>(&app),
                                   static_cast<closure const*>(&b), static_cast<closure const*>(written)})
        if (c && now < c->until) return refused(c->reason, c->until);
    if (params_.account_calls > 0 && s.in_flight > params_.account_calls) return refused(account_calls, now + 1s);
    if (b.tokens < 1) {
        answer.add_header("X-RateLimit-Remaining", "0");
        return refused(burst, now + 1s);
    }
    if (written && params_.limit_issues) {
        auto& w = written->writes;
        while (!w.empty() && w.front() + 30s <= now) w.pop_front();
        if (w.size() >= 100) return refused(per_issue, w[w.size() - 100] + 30s);
        if (w.size() >= 20 && w[w.size() - 20] + 2s > now) return refused(per_issue, w[w.size() - 20] + 2s);
        w.push_back(now);
    }
    double const cost = in.method == method::get ? 2 : 1;
    if (oauth && !spend_points(app, params_.global_quota, "global-app-quota", cost, wall, answer))
        return refused(global_based, now + until_next_hour(wall));
    if (oauth && !spend_points(s.tenant, params_.tenant_quota, "tenant-app-quota", cost, wall, answer))
        return refused(tenant_based, now + until_next_hour(wall));
    b.tokens -= 1;
    answer.add_header("X-RateLimit-Remaining", std::to_string(static_cast<int>(b.tokens)));
    if (happens(params_.faults.transient)) {
        answer.set_status(503);
        return r;
    }
    ++accepted;
    if (in.method == method::post && ++s.posts[std::string(in.target)] > 1) {
        ++duplicates;
        note("a write was on the wire twice");
    }
    r.lost = happens(params_.faults.lost_after);
    answer.set_status(in.method == method::post ? 201 : 200);
    append(answer, "{}");
    return r;
}

void jira_model::delivered(std::string_view host, detail::exchange_input const& in, response const& answer,
                           steady_time now) {
    if (host == auth_host) {
        auto const n = site_of_token_request(in);
        auto& s = sites_[n];
        auto const generation = number_behind(answer.body(), "\"t-" + std::to_string(n) + "-");
        if (!of_present_life(n, in)) return;
        auto const mine = std::find_if(s.refreshing.begin(), s.refreshing.end(),
                                       [&](refresh const& r) { return r.in == &in; });
        // What comes behind the token of one that was overtaken is not taken.
        if (mine != s.refreshing.end() && mine->tokens_read != s.tokens_read) return;
        if (generation != nothing) {
            ++s.tokens_read;
            s.delivered = static_cast<token_generation>(generation);
            s.delivered_at = now;
        } else {
            s.no_refresh_before = now + 250ms;
            s.secrets_at_failure = secret_version(n, in);
        }
        return;
    }
    auto const n = site_of(host, in);
    if (n >= sites_.size()) return;
    auto& s = sites_[n];
    if (answer.status() == 401) s.no_refresh_before = steady_time::min();  // it may ask for a new token at once
    if (answer.status() != 429) return;
    // A connection that is added again knows nothing of the answers to its first life's calls.
    if (kind_of(n) != connection_kind::service_oauth && version_sent(n, in) < s.first_secret) return;
    int seconds = 0;
    auto const after = answer.header("Retry-After");
    std::from_chars(after.data(), after.data() + after.size(), seconds);
    auto const until = now + std::chrono::seconds(seconds);
    auto const match = classify_route(in.method, in.target);
    auto const reason = answer.header("RateLimit-Reason");
    auto& house = house_of(n);
    auto& scope = reason == burst || reason.starts_with("confluence-")
                      ? static_cast<closure&>(house.buckets[match.route])
                  : reason == per_issue    ? static_cast<closure&>(house.issues[key_of(match.issue)])
                  : reason == tenant_based ? static_cast<closure&>(s.tenant)
                  : reason == account_cost || reason == account_calls ? static_cast<closure&>(s.account)
                  : reason == global_based                            ? static_cast<closure&>(apps_[app_of(n)])
                                                                      : house.all;
    scope.client(kind_of(n)).tell(now, until);
}

void jira_model::close(scope what, std::size_t n, std::string_view target, steady_time until) {
    auto& s = sites_.at(n);
    auto& house = house_of(n);
    auto const match = classify_route(method::get, target);
    auto const shut = [until](closure& c, char const* reason) {
        c.until = until;
        c.reason = reason;
    };
    switch (what) {
    case scope::route: shut(house.buckets[match.route], burst); break;
    case scope::issue: shut(house.issues[key_of(match.issue)], per_issue); break;
    case scope::site_unknown: shut(house.all, "jira-something-new"); break;
    case scope::site_no_reason: shut(house.all, nullptr); break;
    case scope::tenant: shut(s.tenant, tenant_based); break;
    case scope::app: shut(apps_[app_of(n)], global_based); break;
    case scope::account_cost: shut(s.account, account_cost); break;
    case scope::account_calls: shut(s.account, account_calls); break;
    case scope::other_product: shut(house.buckets[match.route], "confluence-quota-tenant-based"); break;
    }
}

}  // namespace jirapool::sim
