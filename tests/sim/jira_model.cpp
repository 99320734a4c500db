#include "jira_model.hpp"

#include <charconv>
#include <cstdio>

namespace jirapool::sim {

namespace {

std::string uuid_of(std::size_t n) {
    char text[48];
    std::snprintf(text, sizeof text, "00000000-0000-4000-8000-%012zx", n);
    return text;
}

void append(response& r, std::string_view body) { r.mutable_body().append(body.data(), body.size()); }

}  // namespace

jira_model::jira_model(model_params p, std::uint64_t seed) : params_(p), random_(seed) {
    sites_.resize(params_.sites);
    for (std::size_t i = 0; i < sites_.size(); ++i) {
        sites_[i].cloud_id = uuid_of(i);
        sites_[i].secret = "secret-of-" + std::to_string(i);
        by_base_path_["/ex/jira/" + sites_[i].cloud_id] = i;
    }
}

connection_config jira_model::config(std::size_t n) const {
    return make_connection_config("site-" + std::to_string(n),
                                  service_oauth(sites_[n].cloud_id, "client-" + std::to_string(n),
                                                secret(sites_[n].secret)))
        .value();
}

void jira_model::note(std::string violation) {
    if (violations.size() < 20) violations.push_back(std::move(violation));
}

jira_model::reply jira_model::handle(std::string_view host, detail::exchange_input const& in, steady_time sent,
                                     steady_time now) {
    hash(static_cast<std::uint64_t>(now.time_since_epoch().count()));
    return host == auth_host ? exchange_token(in, now) : answer_call(in, sent, now);
}

jira_model::reply jira_model::exchange_token(detail::exchange_input const& in, steady_time now) {
    ++token_requests;
    reply r;
    auto const marker = in.body.find("client-");
    std::size_t n = 0;
    std::from_chars(in.body.data() + marker + 7, in.body.data() + in.body.size(), n);
    auto& s = sites_.at(n);
    if (in.body.find("client_secret=" + s.secret) == std::string_view::npos)
        note("a client's secret came with another client's id");
    if (happens(params_.faults.token_down)) {
        r.answer.set_status(503);
        return r;
    }
    ++s.issued;
    ++refreshes;
    refresh_times.push_back(now);
    s.expires = now + params_.token_lifetime;
    hash(n);
    r.answer.set_status(200);
    append(r.answer,
           "{\"access_token\":\"t-" + std::to_string(n) + "-" + std::to_string(s.issued) +
               "\",\"token_type\":\"Bearer\",\"expires_in\":" + std::to_string(params_.token_lifetime.count()) + "}");
    return r;
}

jira_model::reply jira_model::answer_call(detail::exchange_input const& in, steady_time sent, steady_time now) {
    reply r;
    ++requests;
    auto const found = by_base_path_.find(std::string(in.base_path));
    if (found == by_base_path_.end()) {
        note("a request left every base path");
        r.answer.set_status(404);
        return r;
    }
    auto& s = sites_[found->second];
    hash(found->second);
    if (found->second == sick_site) {
        ++requests_of_sick;
        r.answer.set_status(503);
        return r;
    }
    if (happens(params_.faults.lost_before)) {
        r.lost = true;
        return r;
    }

    // Authorization: Bearer t-SITE-GENERATION
    auto const mine = "Authorization: Bearer t-" + std::to_string(found->second) + "-";
    if (!in.authorization.starts_with(mine)) {
        note("a credential came to another site than its own");
        r.answer.set_status(401);
        return r;
    }
    token_generation generation = 0;
    std::from_chars(in.authorization.data() + mine.size(), in.authorization.data() + in.authorization.size(),
                    generation);
    if (generation == s.issued && now >= s.expires) note("a token was sent that had expired");
    if (happens(params_.faults.early_401)) {
        r.answer.set_status(401);
        return r;
    }

    auto const match = classify_route(in.method, in.target);
    auto& b = s.buckets[match.route];
    // In the very instant in which the client is told, either may be first.
    if (sent > b.told_at && sent < b.known_pause) note("a request entered a paused scope");
    double const rate = in.method == method::get ? params_.get_rate : params_.post_rate;
    if (b.tokens < 0) b.tokens = rate;
    b.tokens = std::min(rate, b.tokens + rate * std::chrono::duration<double>(now - b.last).count());
    b.last = now;
    r.answer.add_header("X-RateLimit-Limit", std::to_string(static_cast<int>(rate)));
    if (now < b.closed_until) {
        ++limited;
        r.answer.set_status(429);
        r.answer.add_header("RateLimit-Reason", "jira-burst-based");
        r.answer.add_header("Retry-After",
                            std::to_string(std::chrono::ceil<std::chrono::seconds>(b.closed_until - now).count()));
        return r;
    }
    if (b.tokens < 1) {
        ++limited;
        r.answer.set_status(429);
        r.answer.add_header("X-RateLimit-Remaining", "0");
        r.answer.add_header("RateLimit-Reason", "jira-burst-based");
        r.answer.add_header("Retry-After", "1");
        return r;
    }
    b.tokens -= 1;
    r.answer.add_header("X-RateLimit-Remaining", std::to_string(static_cast<int>(b.tokens)));
    if (happens(params_.faults.transient)) {
        r.answer.set_status(503);
        return r;
    }
    ++accepted;
    r.acted = true;
    if (in.method == method::post && ++s.posts[std::string(in.target)] > 1) {
        ++duplicates;
        note("a write was on the wire twice");
    }
    r.lost = happens(params_.faults.lost_after);
    r.answer.set_status(in.method == method::post ? 201 : 200);
    append(r.answer, "{}");
    return r;
}

void jira_model::delivered(std::string_view base_path, method m, std::string_view target, response const& answer,
                           steady_time now) {
    if (answer.status() != 429) return;
    auto const found = by_base_path_.find(std::string(base_path));
    if (found == by_base_path_.end()) return;
    auto& b = sites_[found->second].buckets[classify_route(m, target).route];
    int seconds = 0;
    auto const after = answer.header("Retry-After");
    std::from_chars(after.data(), after.data() + after.size(), seconds);
    if (now >= b.known_pause) b.told_at = now;
    b.known_pause = std::max(b.known_pause, now + std::chrono::seconds(seconds));
}

void jira_model::pause(std::size_t n, std::string_view target, steady_time until) {
    sites_.at(n).buckets[classify_route(method::get, target).route].closed_until = until;
}

}  // namespace jirapool::sim
