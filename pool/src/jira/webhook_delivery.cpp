#include <jirapool/pool/webhook_delivery.hpp>

#include <jirapool/core/json_text.hpp>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <new>
#include <system_error>

namespace jirapool {

namespace {

constexpr char const* signature_header = "X-Hub-Signature";
constexpr char const* identifier_header = "X-Atlassian-Webhook-Identifier";
constexpr char const* retry_header = "X-Atlassian-Webhook-Retry";
constexpr std::string_view only_method = "sha256=";

constexpr std::size_t most_body = 25u << 20;
constexpr std::size_t longest_identifier = 255;

failure refused(char const* field, int status, char const* rule) {
    return failure(errc::protocol_error, rule).with_field(field).with_status(status);
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
    static constexpr char none[] = "";
    digest d{};
    auto const k = key.reveal();
    unsigned size = 0;
    // OpenSSL takes a null key for the one of an earlier call.
    if (HMAC(EVP_sha256(), k.empty() ? none : k.data(), static_cast<int>(k.size()),
             reinterpret_cast<unsigned char const*>(body.data()), body.size(), d.data(), &size) == nullptr)
        throw std::bad_alloc();
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

/// A string, or a number as digits; empty when it is neither.
std::string text_of(simdjson::dom::element const& object, char const* key) {
    simdjson::dom::element e;
    std::string_view text;
    std::int64_t number = 0;
    if (object[key].get(e)) return {};
    if (!e.get(text)) return std::string(text);
    return e.get(number) ? std::string() : std::to_string(number);
}

/// False: no JSON object that names its event.
bool read_body(std::string_view body, webhook_delivery& out) {
    auto const text = json_text(body);
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
    if (parser.parse(text.data(), text.size()).get(doc) || !doc.is_object()) return false;
    std::string_view event;
    if (doc["webhookEvent"].get(event) || event.empty()) return false;
    out.event = event;
    std::int64_t at = 0;
    if (!doc["timestamp"].get(at)) out.timestamp = wall_time(std::chrono::milliseconds(at));
    simdjson::dom::element issue;
    if (!doc["issue"].get(issue) && issue.is_object()) {
        out.issue_id = text_of(issue, "id");
        out.issue_key = text_of(issue, "key");
    }
    return true;
}

}  // namespace

std::string webhook_signature(std::string_view body, secret const& signing_secret) {
    return std::string(only_method) + in_digits(hmac(body, signing_secret));
}

result<webhook_delivery> read_webhook_delivery(webhook_request const& r, secret const& signing_secret) {
    // OpenSSL counts a key's bytes in an int.
    if (signing_secret.empty() || signing_secret.size() > std::numeric_limits<int>::max())
        return failure(errc::invalid_argument, "must not be empty: anybody could sign").with_field("signing_secret");
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
    if (identifier.first.size() > longest_identifier)
        return refused(identifier_header, 400, "must have at most 255 bytes");
    webhook_delivery out;
    if (!read_body(r.body, out)) return refused("body", 400, "must be a JSON object with a webhookEvent");
    out.id = identifier.first;
    out.retry = number_or_0(header_values(r, retry_header).first);
    out.body = r.body;
    return out;
}

bool webhook_window::is_new(std::string_view id, steady_time now) {
    if (id.empty() || most_ == 0 || longest_ <= steady_duration::zero()) return true;
    if (auto const found = seen_.find(id); found != seen_.end()) {
        if (now < later(found->second.at, longest_)) return false;
        forget(id);
    }
    while (!in_order_.empty()) {
        auto const oldest = seen_.find(in_order_.front().second);
        bool const counts = oldest != seen_.end() && oldest->second.number == in_order_.front().first;
        if (counts && in_order_.size() < most_ && now < later(oldest->second.at, longest_)) break;
        drop_oldest();
    }
    in_order_.emplace_back(next_, id);
    try {
        seen_.emplace(id, seen{now, next_});
    } catch (...) {
        in_order_.pop_back();
        throw;
    }
    ++next_;
    return true;
}

void webhook_window::drop_oldest() noexcept {
    auto const& [number, id] = in_order_.front();
    auto const found = seen_.find(id);
    if (found != seen_.end() && found->second.number == number) seen_.erase(found);
    in_order_.pop_front();
}

void webhook_window::forget(std::string_view id) {
    auto const found = seen_.find(id);
    if (found != seen_.end()) seen_.erase(found);
}

}  // namespace jirapool
