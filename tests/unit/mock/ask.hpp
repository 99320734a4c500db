#pragma once

#include "app.hpp"
#include "text.hpp"

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>

// Requests to the mock's app, without sockets.
namespace jirapool::mock {

using std::chrono::hours;

inline instant const t0{steady_time{hours{1000}}, wall_time{hours{500'000}}};

inline instant later(std::chrono::milliseconds t) { return instant{t0.steady + t, t0.wall + t}; }

inline params small() {
    params p;
    p.sites = 3;
    p.personal = p.service = p.oauth = 3;
    return p;
}

/// A request and whom it is sent to.
class ask final : public header_lookup {
public:
    ask(std::string method, std::string host, std::string target)
        : method_(std::move(method)), host_(std::move(host)), sni_(host_), target_(std::move(target)) {}

    ask& with(std::string name, std::string value) {
        headers_[std::move(name)] = std::move(value);
        return *this;
    }
    ask& basic(connection_info const& c) { return with("authorization", "Basic " + base64(c.email + ':' + c.secret)); }
    ask& bearer(std::string const& token) { return with("authorization", "Bearer " + token); }
    ask& body(std::string text) {
        body_ = std::move(text);
        return *this;
    }
    ask& sni(std::string name) {
        sni_ = std::move(name);
        return *this;
    }

    reply of(app& a, instant now = t0) const {
        request_view r;
        r.method = method_;
        r.target = target_;
        r.host = host_;
        r.sni = sni_;
        r.body = body_;
        r.headers = this;
        return a.handle(r, now);
    }

    std::string_view find(std::string_view name) const override {
        auto const it = headers_.find(lower(name));
        return it == headers_.end() ? std::string_view() : std::string_view(it->second);
    }

private:
    std::string method_, host_, sni_, target_, body_;
    std::map<std::string, std::string> headers_;
};

inline bool has(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

inline std::string host_of(app const& a, connection_info const& c) { return a.world().site_of(c).host; }
inline std::string gateway_path(app const& a, std::size_t site, std::string const& path) {
    return "/ex/jira/" + a.world().sites()[site].cloud_id + path;
}
inline ask exchange(connection_info const& c) {
    return ask("POST", "auth.atlassian.com", "/oauth/token")
        .with("content-type", "application/x-www-form-urlencoded")
        .body("client_id=" + c.client_id + "&client_secret=" + c.secret + "&grant_type=client_credentials");
}
inline std::string token_of(reply const& r) {
    std::string const key = "\"access_token\":\"";
    auto const at = r.body.find(key);
    if (at == std::string::npos) return {};
    return r.body.substr(at + key.size(), r.body.find('"', at + key.size()) - at - key.size());
}

}  // namespace jirapool::mock
