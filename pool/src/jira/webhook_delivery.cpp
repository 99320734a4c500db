#include <jirapool/pool/webhook_delivery.hpp>

#include <jirapool/core/json_text.hpp>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

namespace jirapool {

namespace {

constexpr char const* signature_header = "X-Hub-Signature";
constexpr char const* identifier_header = "X-Atlassian-Webhook-Identifier";
constexpr char const* retry_header = "X-Atlassian-Webhook-Retry";
constexpr std::string_view only_method = "sha256=";

constexpr std::size_t most_body = 25u << 20;
constexpr std::size_t longest_identifier = 255;

failure refused(char const* field, int status, char const* rule) {
    return failure(errc::invalid_argument, rule).with_field(field).with_status(status);
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    auto const lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

/// What stands around a value is none of it (RFC 9110, section 5.5).
std::string_view trimmed(std::string_view value) noexcept {
    auto const first = std::min(value.find_first_not_of(" \t"), value.size());
    value.remove_prefix(first);
    return value.substr(0, value.find_last_not_of(" \t") + 1);
}

/// The first value of a header, and how many there are.
struct header_values {
    header_values(webhook_request const& r, std::string_view name) noexcept {
        for (auto const& [n, value] : r.headers)
            if (same_name(n, name) && count++ == 0) first = trimmed(value);
    }
    std::string_view first;
    std::size_t count = 0;
};

using digest = std::array<unsigned char, 32>;

digest hmac(std::string_view body, secret const& key) {
    digest d{};
    auto const k = key.reveal();
    std::size_t size = 0;
    // A null pointer would be no key, and no body.
    auto const* const text = reinterpret_cast<unsigned char const*>(body.empty() ? "" : body.data());
    if (EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, k.empty() ? "" : k.data(), k.size(), text, body.size(),
                  d.data(), d.size(), &size) == nullptr) {
        ERR_clear_error();
        throw std::bad_alloc();
    }
    return d;
}

std::string in_digits(digest const& d) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(2 * d.size());
    for (auto const byte : d) {
        text.push_back(digits[byte >> 4]);
        text.push_back(digits[byte & 15]);
    }
    return text;
}

bool is_signature_of(std::string_view said, std::string_view body, secret const& key) {
    auto const right = in_digits(hmac(body, key));
    said.remove_prefix(only_method.size());
    if (said.size() != right.size()) return false;
    std::string lower(said);
    for (auto& c : lower)
        if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    return CRYPTO_memcmp(lower.data(), right.data(), right.size()) == 0;
}

unsigned number_or_0(std::string_view text) noexcept {
    unsigned n = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    return ec == std::errc() && end == text.data() + text.size() ? n : 0;
}

namespace ondemand = simdjson::ondemand;

/// Whether the value is there, as far as memory goes: a delivery that was proved is not refused for want of it.
bool good(simdjson::error_code e) {
    if (e == simdjson::MEMALLOC) throw std::bad_alloc();
    return e == simdjson::SUCCESS;
}

/// What one string or number is. Not by ondemand's own functions: where its buffer for texts lacked memory it writes all the same.
class scalar_reader {
public:
    std::optional<std::string_view> text(ondemand::value v) {
        std::string_view t;
        return read(v) && good(element_.get(t)) ? std::optional(t) : std::nullopt;
    }
    std::optional<std::int64_t> number(ondemand::value v) {
        std::int64_t n = 0;
        return read(v) && good(element_.get(n)) ? std::optional(n) : std::nullopt;
    }
    /// A string, or a whole number as digits.
    std::string text_or_number(ondemand::value v) {
        if (auto const t = text(v)) return std::string(*t);
        auto const n = number(v);
        return n ? std::to_string(*n) : std::string();
    }

private:
    bool read(ondemand::value v) {
        auto const token = v.raw_json_token();
        return good(parser_.parse(token.data(), token.size()).get(element_));
    }

    simdjson::dom::parser parser_;
    simdjson::dom::element element_;
};

void read_issue(ondemand::value v, scalar_reader& scalars, webhook_delivery& out) {
    ondemand::object issue;
    if (!good(v.get_object().get(issue))) return;
    ondemand::value part;
    if (good(issue.find_field_unordered("id").get(part))) out.issue_id = scalars.text_or_number(part);
    if (good(issue.find_field_unordered("key").get(part))) out.issue_key = scalars.text_or_number(part);
}

void read_timestamp(ondemand::value v, scalar_reader& scalars, webhook_delivery& out) {
    constexpr auto most =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds::max()).count();
    auto const at = scalars.number(v);
    if (at && *at <= most && *at >= -most) out.timestamp = wall_time(std::chrono::milliseconds(*at));
}

/// False: no JSON object that names its event. Numbers, texts and depths of what is not read here are not looked at: a delivery
/// that was proved is not lost for what some field of somebody's holds.
bool read_body(webhook_delivery& out) {
    out.body.reserve(out.body.size() + simdjson::SIMDJSON_PADDING);
    auto const text = json_text(out.body);
    auto const room = out.body.capacity() - (out.body.size() - text.size());
    ondemand::parser parser;
    ondemand::document doc;
    ondemand::object object;
    if (!good(parser.iterate(simdjson::padded_string_view(text.data(), text.size(), room)).get(doc)) ||
        !good(doc.get_object().get(object)))
        return false;
    scalar_reader scalars;
    bool issue = false, timestamp = false;
    for (auto field : object) {
        ondemand::raw_json_string key;
        ondemand::value value;
        if (!good(field.key().get(key)) || !good(field.value().get(value))) return false;
        if (key == "webhookEvent" && out.event.empty()) out.event = scalars.text(value).value_or(std::string_view());
        else if (key == "timestamp" && !std::exchange(timestamp, true)) read_timestamp(value, scalars, out);
        else if (key == "issue" && !std::exchange(issue, true)) read_issue(value, scalars, out);
    }
    // Nothing follows.
    return doc.current_location().error() == simdjson::OUT_OF_BOUNDS && !out.event.empty();
}

}  // namespace

std::string webhook_signature(std::string_view body, secret const& signing_secret) {
    return std::string(only_method) + in_digits(hmac(body, signing_secret));
}

result<webhook_delivery> read_webhook_delivery(webhook_request const& r, secret const& signing_secret) {
    auto const key = signing_secret.reveal();
    // HMAC fills a key up with NULs.
    if (key.find_first_not_of('\0') == key.npos)
        return refused("signing_secret", 500, "must not be empty, nor all NULs: anybody could sign");
    if (r.method != "POST") return refused("method", 405, "only POST is a delivery");
    if (r.body.size() > most_body) return refused("body", 413, "must be at most 25 MiB");
    header_values const signature(r, signature_header);
    if (signature.count == 0) return refused(signature_header, 401, "is missing: the delivery is not signed");
    if (signature.count > 1) return refused(signature_header, 401, "must come once");
    if (!signature.first.starts_with(only_method)) return refused(signature_header, 401, "must begin with sha256=");
    if (!is_signature_of(signature.first, r.body, signing_secret))
        return refused(signature_header, 401, "is not the signature of this body by this secret");

    header_values const identifier(r, identifier_header);
    if (identifier.count > 1) return refused(identifier_header, 400, "must come once");
    bool const visible = std::all_of(identifier.first.begin(), identifier.first.end(),
                                     [](char c) { return c > ' ' && c <= '~'; });
    if (identifier.first.size() > longest_identifier || !visible)
        return refused(identifier_header, 400, "must be at most 255 visible characters of ASCII");
    webhook_delivery out;
    out.body = r.body;
    if (!read_body(out)) return refused("body", 400, "must be a JSON object with a webhookEvent");
    out.id = identifier.first;
    out.retry = number_or_0(header_values(r, retry_header).first);
    return out;
}

std::optional<webhook_order> webhook_delivery::order() const {
    auto const& issue = issue_id.empty() ? issue_key : issue_id;
    if (issue.empty() || !timestamp) return std::nullopt;
    return webhook_order{issue, *timestamp};
}

bool webhook_window::is_new(std::string_view id, steady_time now) {
    if (id.empty() || most_ == 0 || longest_ <= steady_duration::zero()) return true;
    auto const over = [&](seen const& s) { return now >= later(s.at, longest_); };
    if (auto const found = by_id_.find(id); found != by_id_.end()) {
        if (!over(*found->second)) return false;
        forget(id);
    }
    in_order one;
    one.push_back({std::string(id), now});
    by_id_.emplace(one.front().id, one.begin());
    seen_.splice(seen_.end(), one);
    while (seen_.size() > most_ || over(seen_.front())) {
        by_id_.erase(seen_.front().id);
        seen_.pop_front();
    }
    return true;
}

void webhook_window::forget(std::string_view id) noexcept {
    auto const found = by_id_.find(id);
    if (found == by_id_.end()) return;
    auto const place = found->second;
    by_id_.erase(found);
    seen_.erase(place);
}

}  // namespace jirapool
