#include <jirapool/core/rate_headers.hpp>

#include "loose_number.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>

namespace jirapool {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Longer than any limit that Jira documents (the longest ends with the hour): more than this is somebody's mistake.
constexpr seconds longest_retry_after = 24h;
// What a Retry-After that nobody can read stands for: as long as the longest pause that we choose ourselves when there is no
// word at all (limit_params::pause_max), since somebody did ask for patience.
constexpr seconds unreadable_retry_after = 60s;
// The longest `w` or `t` that is believed: about thirty years, so that adding it to a time never overflows.
constexpr std::int64_t longest_quota_seconds = 1'000'000'000;
// The largest Integer of a structured field, RFC 9651 section 3.3.1.
constexpr std::int64_t largest_quota = 999'999'999'999'999;
// A list with more malformed items than this is not read on: each may have to be scanned to the end of the text before
// it turns out malformed, and the text is the peer's.
constexpr int most_malformed_items = 16;

// Not the C library's: those ask the locale.
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }
constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

/// `lowered` is lower-case already.
bool is(std::string_view text, std::string_view lowered) noexcept {
    if (text.size() != lowered.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (lower(text[i]) != lowered[i]) return false;
    }
    return true;
}

std::string_view trimmed(std::string_view s) noexcept {
    while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
    while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
    return s;
}

/// Digits and nothing else, at most `largest`.
std::optional<std::int64_t> whole_number(std::string_view s, std::int64_t largest) noexcept {
    if (s.empty()) return std::nullopt;
    std::int64_t n = 0;
    for (char const c : s) {
        if (!is_digit(c)) return std::nullopt;
        int const digit = c - '0';
        if (n > (largest - digit) / 10) return std::nullopt;
        n = n * 10 + digit;
    }
    return n;
}

template <class T>
void keep_smaller(std::optional<T>& kept, std::optional<T> const& v) noexcept {
    if (v && (!kept || *v < *kept)) kept = v;
}

template <class T>
void keep_larger(std::optional<T>& kept, std::optional<T> const& v) noexcept {
    if (v && (!kept || *v > *kept)) kept = v;
}

// ---- dates

/// Reads a text from left to right. Once something did not fit, everything after it fails as well.
class scanner {
public:
    explicit scanner(std::string_view text) noexcept : at_(text.data()), end_(text.data() + text.size()) {}

    /// Exactly `count` digits.
    int digits(int count) noexcept {
        int n = 0;
        for (; count > 0; --count) {
            if (at_ == end_ || !is_digit(*at_)) {
                ok_ = false;
                return 0;
            }
            n = n * 10 + (*at_++ - '0');
        }
        return n;
    }
    /// In either case.
    bool skip(char lowered) noexcept {
        if (at_ == end_ || lower(*at_) != lowered) return false;
        ++at_;
        return true;
    }
    bool skip(std::string_view lowered) noexcept {
        if (static_cast<std::size_t>(end_ - at_) < lowered.size() || !is({at_, lowered.size()}, lowered)) return false;
        at_ += lowered.size();
        return true;
    }
    /// The next three bytes in lower case as one number; 0 when there are not so many.
    unsigned peek_three() const noexcept {
        if (end_ - at_ < 3) return 0;
        unsigned all = 0;
        for (int i = 0; i < 3; ++i) all = all << 8 | static_cast<unsigned char>(lower(at_[i]));
        return all;
    }
    void skip_three() noexcept { at_ += 3; }
    void expect(char lowered) noexcept { ok_ = skip(lowered) && ok_; }
    void expect(std::string_view lowered) noexcept { ok_ = skip(lowered) && ok_; }
    /// One digit or more; what no int holds fails.
    int number() noexcept {
        int n = digits(1);
        while (peek_digit() && n < 100'000) n = n * 10 + digits(1);
        ok_ = ok_ && !peek_digit();
        return n;
    }
    bool skip_spaces() noexcept {
        auto const* const before = at_;
        while (at_ != end_ && is_space(*at_)) ++at_;
        return at_ != before;
    }
    bool peek_digit() const noexcept { return is_digit(peek()); }
    bool peek_letter() const noexcept { return lower(peek()) >= 'a' && lower(peek()) <= 'z'; }
    bool at_end() const noexcept { return at_ == end_; }
    char peek() const noexcept { return at_ == end_ ? '\0' : *at_; }
    void next() noexcept { at_ += at_ != end_; }
    /// All was read and all of it fitted.
    bool done() const noexcept { return ok_ && at_ == end_; }
    bool ok() const noexcept { return ok_; }

private:
    char const* at_;
    char const* end_;
    bool ok_ = true;
};

std::optional<wall_time> make_time(int year, unsigned month, int day, int hour, int minute, int second) noexcept {
    std::chrono::year_month_day const date{std::chrono::year{year}, std::chrono::month{month},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    // 60 is a leap second: the next minute's first.
    if (year > 9999 || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
    return wall_time(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
           seconds(second);
}

/// Three letters as one number.
constexpr unsigned three(std::string_view lowered) noexcept {
    return static_cast<unsigned>(lowered[0]) << 16 | static_cast<unsigned>(lowered[1]) << 8 |
           static_cast<unsigned>(lowered[2]);
}

/// Which of the names comes next, and skips it; `count` when none does.
template <std::size_t count>
std::size_t skip_one_of(scanner& s, unsigned const (&names)[count]) noexcept {
    auto const found = static_cast<std::size_t>(std::find(names, names + count, s.peek_three()) - names);
    if (found < count) s.skip_three();
    return found;
}

/// 1 to 12, 0 when it is none.
unsigned month_name(scanner& s) noexcept {
    constexpr unsigned names[] = {three("jan"), three("feb"), three("mar"), three("apr"), three("may"), three("jun"),
                                  three("jul"), three("aug"), three("sep"), three("oct"), three("nov"), three("dec")};
    auto const month = skip_one_of(s, names);
    return month < std::size(names) ? static_cast<unsigned>(month) + 1 : 0;
}

/// A zone's name or offset, up to the end of the text: what to take off a time of that zone. Without one, or with one that is
/// unknown, there is none.
std::optional<std::chrono::minutes> read_zone(scanner& s) noexcept {
    // "GMT" is RFC 9110's, "UT" and "+0000" RFC 5322's, the others what servers write in their place.
    for (std::string_view const name : {"gmt", "utc", "ut", "z"}) {
        if (s.skip(name)) return s.done() ? std::optional(std::chrono::minutes(0)) : std::nullopt;
    }
    bool const west = s.peek() == '-';
    if (!west && s.peek() != '+') return std::nullopt;
    s.next();
    int const hours = s.digits(2);
    s.skip(':');
    int const minutes = s.digits(2);
    if (!s.done() || hours > 23 || minutes > 59) return std::nullopt;
    auto const offset = std::chrono::hours(hours) + std::chrono::minutes(minutes);
    return west ? -offset : offset;
}

/// The time of day, then the zone; without one it is UTC.
std::optional<wall_time> read_time_and_zone(scanner& s, int year, unsigned month, int day) noexcept {
    int const hour = s.number();
    s.expect(':');
    int const minute = s.digits(2);
    int const second = s.skip(':') ? s.digits(2) : 0;
    milliseconds fraction{0};
    if (s.skip('.') || s.skip(',')) {
        // Rounded up: a floor.
        fraction = s.peek_digit() ? milliseconds(1000) : milliseconds(0);
        while (s.peek_digit()) s.next();
    }
    s.skip_spaces();
    auto const zone = s.at_end() ? std::optional(std::chrono::minutes(0)) : read_zone(s);
    auto const time = make_time(year, month, day, hour, minute, second);
    if (!s.ok() || !zone || !time) return std::nullopt;
    return *time + fraction - *zone;
}

/** A date in whichever of the spellings servers have: those of RFC 9110, with any zone, day of one digit, separators and spaces
    of their own, the weekday left out or abbreviated otherwise; ISO 8601, with a space for the T or without a zone (UTC then, as
    of all the others). */
std::optional<wall_time> read_any_date(std::string_view text) noexcept {
    if (auto const time = parse_http_date(text)) return time;
    if (auto const time = parse_iso_time(text)) return time;
    scanner s(text);
    if (!s.peek_digit()) {
        while (s.peek_letter() || s.peek() == '.') s.next();  // what weekday it is adds nothing
        s.skip(',');
        s.skip_spaces();
    }
    unsigned month = 0;
    if (!s.peek_digit()) {  // Nov 28 23:59:00 2026, with the year at the end
        month = month_name(s);
        while (s.peek_letter()) s.next();
        s.skip_spaces();
        int const day = s.number();
        s.skip_spaces();
        int const hour = s.number();
        s.expect(':');
        int const minute = s.digits(2);
        s.expect(':');
        int const second = s.digits(2);
        s.skip_spaces();
        if (s.peek_letter()) {
            if (!s.skip(std::string_view("gmt")) && !s.skip(std::string_view("utc"))) return std::nullopt;
            s.skip_spaces();
        }
        int const year = s.digits(4);
        if (!s.done()) return std::nullopt;
        return make_time(year, month, day, hour, minute, second);
    }
    int const first = s.number();
    auto const separator = [&s] { return s.skip('-') || s.skip('/') || s.skip_spaces(); };
    if (!separator()) return std::nullopt;
    if (first > 31) {  // 2026-11-28 23:59:00
        month = static_cast<unsigned>(s.digits(2));
        if (!separator()) return std::nullopt;
        int const day = s.digits(2);
        if (!s.skip('t') && !s.skip_spaces()) return std::nullopt;
        return read_time_and_zone(s, first, month, day);
    }
    month = month_name(s);
    while (s.peek_letter()) s.next();
    if (!separator()) return std::nullopt;
    int year = s.number();
    if (year < 100) year += year < 70 ? 2000 : 1900;  // as in parse_http_date
    if (!s.skip_spaces()) return std::nullopt;
    return read_time_and_zone(s, year, month, first);
}

// ---- durations

/** Seconds, rounded up, at most longest_retry_after: digits, with a fraction, an exponent, a sign, a unit. Negative ones are 0, which
    is no hint. */
std::optional<seconds> read_seconds(std::string_view text) noexcept {
    auto const number = read_loose_number(text);
    if (!number) return std::nullopt;
    struct unit {
        std::string_view name;
        double seconds;
    };
    constexpr unit units[] = {{"", 1},        {"s", 1},       {"sec", 1},      {"secs", 1}, {"second", 1},
                              {"seconds", 1}, {"ms", 0.001},  {"msec", 0.001}, {"m", 60},   {"min", 60},
                              {"mins", 60},   {"minute", 60}, {"minutes", 60}, {"h", 3600}, {"hr", 3600},
                              {"hour", 3600}, {"hours", 3600}};
    auto const* const found = std::find_if(std::begin(units), std::end(units),
                                           [&](unit const& u) { return is(trimmed(number->rest), u.name); });
    if (found == std::end(units)) return std::nullopt;
    double const n = number->value * found->seconds;
    if (!(n > 0)) return 0s;
    if (n >= static_cast<double>(longest_retry_after.count())) return longest_retry_after;
    return seconds(static_cast<std::int64_t>(std::ceil(n)));
}

// ---- quotas: "name";k=v;k=v, "name2";…

struct quota_list {
    std::optional<quota_item>& global;
    std::optional<quota_item>& tenant;
};

std::size_t skip_spaces(std::string_view s, std::size_t i) noexcept {
    while (i < s.size() && is_space(s[i])) ++i;
    return i;
}

/// Behind the closing quote of the string that starts at `i`; npos when it has none.
std::size_t skip_string(std::string_view s, std::size_t i) noexcept {
    for (++i; i < s.size(); ++i) {
        if (s[i] == '\\') {
            ++i;
        } else if (s[i] == '"') {
            return i + 1;
        }
    }
    return std::string_view::npos;
}

void read_parameter(std::string_view key, std::string_view value, quota_item& item) noexcept {
    if (key.size() != 1) return;
    switch (key[0]) {
    case 'q': keep_smaller(item.quota, whole_number(value, largest_quota)); break;
    case 'r': keep_smaller(item.remaining, whole_number(value, largest_quota)); break;
    case 'w':
        if (auto const n = whole_number(value, longest_quota_seconds)) keep_larger(item.window, {seconds(*n)});
        break;
    case 't':
        if (auto const n = whole_number(value, longest_quota_seconds)) keep_larger(item.reset_in, {seconds(*n)});
        break;
    default: break;
    }
}

/// Reads the item at `i`. Returns the index of the comma behind it or the text's size; npos when it is malformed.
std::size_t read_item(std::string_view s, std::size_t i, std::string_view& name, quota_item& item) noexcept {
    if (s[i] != '"') return std::string_view::npos;
    std::size_t const name_end = skip_string(s, i);
    if (name_end == std::string_view::npos) return name_end;
    name = s.substr(i + 1, name_end - i - 2);
    i = skip_spaces(s, name_end);
    while (i < s.size() && s[i] == ';') {
        i = skip_spaces(s, i + 1);
        std::size_t const key = i;
        while (i < s.size() && s[i] != '=' && s[i] != ';' && s[i] != ',' && s[i] != '"') ++i;
        std::string_view const key_text = trimmed(s.substr(key, i - key));
        if (i == s.size() || s[i] != '=') continue;  // without a value: not ours, but no reason to lose the rest
        i = skip_spaces(s, i + 1);
        if (i < s.size() && s[i] == '"') {  // no parameter of ours is a string
            i = skip_string(s, i);
            if (i == std::string_view::npos) return i;
            i = skip_spaces(s, i);
            if (i < s.size() && s[i] != ';' && s[i] != ',') return std::string_view::npos;
            continue;
        }
        std::size_t const value = i;
        while (i < s.size() && s[i] != ';' && s[i] != ',') ++i;
        read_parameter(key_text, trimmed(s.substr(value, i - value)), item);
    }
    i = skip_spaces(s, i);
    return i == s.size() || s[i] == ',' ? i : std::string_view::npos;
}

void merge(std::optional<quota_item>& kept, quota_item const& item) noexcept {
    if (!kept) kept.emplace();
    keep_smaller(kept->quota, item.quota);
    keep_smaller(kept->remaining, item.remaining);
    keep_larger(kept->window, item.window);
    keep_larger(kept->reset_in, item.reset_in);
}

void read_quotas(std::string_view s, quota_list quotas) noexcept {
    std::size_t i = 0;
    int malformed = 0;
    while ((i = skip_spaces(s, i)) < s.size()) {
        std::string_view name;
        quota_item item;
        std::size_t next = i;
        if (s[i] != ',') next = read_item(s, i, name, item);
        if (next == std::string_view::npos) {
            if (++malformed > most_malformed_items) return;
            // Goes on at the first comma, even inside what looks like a string: a quote that was never closed must not
            // swallow the items behind it, and no name that counts holds a comma.
            next = std::min(s.find(',', i), s.size());
        } else if (name == "global-app-quota") {
            merge(quotas.global, item);
        } else if (name == "tenant-app-quota") {
            merge(quotas.tenant, item);
        }
        i = next + 1;
    }
}

// ---- reasons

/// Which of two reasons of one answer holds for more.
constexpr int breadth(limit_reason r) noexcept {
    switch (r) {
    case limit_reason::none: return 0;
    case limit_reason::other_product: return 1;
    case limit_reason::issue_write: return 2;
    case limit_reason::burst: return 3;
    case limit_reason::account_calls: return 4;
    case limit_reason::account_cost: return 5;
    case limit_reason::unknown: return 6;
    case limit_reason::tenant_quota: return 7;
    case limit_reason::global_quota: return 8;
    }
    return 0;
}

limit_reason reason_named(std::string_view text) noexcept {
    text = trimmed(text);
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
    if (text.empty()) return limit_reason::none;
    if (is(text, "jira-burst-based")) return limit_reason::burst;
    if (is(text, "jira-per-issue-on-write")) return limit_reason::issue_write;
    if (is(text, "jira-quota-tenant-based")) return limit_reason::tenant_quota;
    if (is(text, "jira-quota-global-based")) return limit_reason::global_quota;
    // An API token's limits, in no document but seen (core/doc/jira-cloud.md, 3.1): a second account of the site has its own.
    if (is(text, "jira-cost-based")) return limit_reason::account_cost;
    constexpr std::string_view of_user = "-per-user", confluence = "confluence-";
    if (is(text.substr(0, confluence.size()), confluence)) return limit_reason::other_product;
    if (text.size() > of_user.size() && is(text.substr(text.size() - of_user.size()), of_user))
        return limit_reason::account_calls;
    return limit_reason::unknown;
}

void read_reason(std::string_view text, limit_reason& kept) noexcept {
    for (;;) {
        std::size_t const comma = text.find(',');
        limit_reason const r = reason_named(text.substr(0, comma));
        if (breadth(r) > breadth(kept)) kept = r;
        if (comma == std::string_view::npos) return;
        text.remove_prefix(comma + 1);
    }
}

// ---- the walk

class reader {
public:
    explicit reader(wall_time now) noexcept : now_(now) {}

    void read(std::string_view name, std::string_view value) noexcept {
        // Most headers of an answer are others: their length or first letter says so.
        switch (name.size()) {
        case 4:
            if (!out_.date && is(name, "date")) out_.date = parse_http_date(trimmed(value));
            break;
        case 9:
            if (is(name, "ratelimit")) read_quotas(value, {out_.global_quota, out_.tenant_quota});
            break;
        case 11:
            if (is(name, "retry-after")) read_retry_after(trimmed(value));
            break;
        case 16:
            if (is(name, "ratelimit-policy")) {
                read_quotas(value, {out_.global_quota, out_.tenant_quota});
            } else if (is(name, "ratelimit-reason")) {
                read_reason(value, out_.reason);
            }
            break;
        case 17:
            if (is(name, "x-ratelimit-limit")) {
                read_count(value, out_.limit);
            } else if (is(name, "x-ratelimit-reset")) {
                keep_larger(out_.reset, parse_iso_time(trimmed(value)));
            }
            break;
        case 18:
            if (is(name, "x-ratelimit-reason")) read_reason(value, out_.reason);
            break;
        case 21:
            if (is(name, "x-ratelimit-remaining")) {
                read_count(value, out_.remaining);
            } else if (is(name, "x-ratelimit-nearlimit")) {
                out_.near_limit = out_.near_limit || is(trimmed(value), "true");
            }
            break;
        default: break;
        }
    }

    rate_headers finish() noexcept {
        // Only now: `Date` may come behind `Retry-After`.
        if (retry_at_) keep_larger(out_.retry_after, {from_now(*retry_at_)});
        // One that can be read says how long, beside whichever else.
        if (out_.retry_after_unreadable && out_.retry_after.value_or(0s) == 0s)
            out_.retry_after = unreadable_retry_after;
        return out_;
    }

private:
    static void read_count(std::string_view value, std::optional<std::uint32_t>& kept) noexcept {
        auto const n = whole_number(trimmed(value), std::numeric_limits<std::uint32_t>::max());
        if (n) keep_smaller(kept, {static_cast<std::uint32_t>(*n)});
    }

    void read_retry_after(std::string_view value) noexcept {
        if (value.empty()) return;
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = trimmed(value.substr(1, value.size() - 2));
        if (read_one_retry_after(value)) return;
        // Somebody joined two headers: "30, 60". Only now, as dates hold commas of their own.
        bool all = value.find(',') != value.npos;
        while (all && !value.empty()) {
            auto const comma = std::min(value.find(','), value.size());
            all = read_one_retry_after(trimmed(value.substr(0, comma)));
            value.remove_prefix(std::min(comma + 1, value.size()));
        }
        if (!all) out_.retry_after_unreadable = true;
    }

    bool read_one_retry_after(std::string_view value) noexcept {
        if (auto const n = read_seconds(value)) {
            keep_larger(out_.retry_after, n);
            return true;
        }
        auto const at = read_any_date(value);
        keep_larger(retry_at_, at);
        return at.has_value();
    }

    /// Rounded up: coming a little late costs nothing.
    seconds from_now(wall_time t) const noexcept {
        wall_time const base = out_.date.value_or(now_);
        if (t <= base) return 0s;
        // Compared before it is subtracted: `now` is the caller's and may be any value.
        if (base < t - longest_retry_after) return longest_retry_after;
        return std::chrono::ceil<seconds>(t - base);
    }

    rate_headers out_;
    std::optional<wall_time> retry_at_;
    wall_time now_;
};

}  // namespace

char const* to_string(limit_reason r) noexcept {
    switch (r) {
    case limit_reason::none: return "none";
    case limit_reason::burst: return "burst";
    case limit_reason::issue_write: return "issue_write";
    case limit_reason::tenant_quota: return "tenant_quota";
    case limit_reason::global_quota: return "global_quota";
    case limit_reason::unknown: return "unknown";
    case limit_reason::account_cost: return "account_cost";
    case limit_reason::account_calls: return "account_calls";
    case limit_reason::other_product: return "other_product";
    }
    return "unknown";
}

rate_headers read_rate_headers(response const& r, wall_time now) noexcept {
    reader out(now);
    for (std::size_t i = 0, count = r.header_count(); i < count; ++i) out.read(r.header_name(i), r.header_value(i));
    return out.finish();
}

std::optional<wall_time> parse_http_date(std::string_view text) noexcept {
    // The day's name must be one, but need not be the date's: it adds nothing that we use.
    constexpr unsigned days[] = {three("mon"), three("tue"), three("wed"), three("thu"),
                                 three("fri"), three("sat"), three("sun")};
    constexpr std::string_view rests[] = {"day", "sday", "nesday", "rsday", "day", "urday", "day"};
    scanner s(text);
    auto const weekday = skip_one_of(s, days);
    if (weekday == std::size(days)) return std::nullopt;

    if (s.skip(' ')) {  // Sun Nov  6 08:49:37 1994
        unsigned const month = month_name(s);
        s.expect(' ');
        int const day = s.skip(' ') ? s.digits(1) : s.digits(2);
        s.expect(' ');
        int const hour = s.digits(2);
        s.expect(':');
        int const minute = s.digits(2);
        s.expect(':');
        int const second = s.digits(2);
        s.expect(' ');
        int const year = s.digits(4);
        if (!s.done()) return std::nullopt;
        return make_time(year, month, day, hour, minute, second);
    }

    bool const short_year = s.skip(rests[weekday]);  // Sunday, 06-Nov-94 08:49:37 GMT
    char const separator = short_year ? '-' : ' ';   // Sun, 06 Nov 1994 08:49:37 GMT
    s.expect(", ");
    int const day = s.digits(2);
    s.expect(separator);
    unsigned const month = month_name(s);
    s.expect(separator);
    int year = s.digits(short_year ? 2 : 4);
    // As in POSIX. The RFC's rule ("not more than 50 years ahead") needs a clock, and both agree until 2050.
    if (short_year) year += year < 70 ? 2000 : 1900;
    s.expect(' ');
    int const hour = s.digits(2);
    s.expect(':');
    int const minute = s.digits(2);
    s.expect(':');
    int const second = s.digits(2);
    s.expect(" gmt");
    if (!s.done()) return std::nullopt;
    return make_time(year, month, day, hour, minute, second);
}

std::optional<wall_time> parse_iso_time(std::string_view text) noexcept {
    scanner s(text);
    int const year = s.digits(4);
    s.expect('-');
    int const month = s.digits(2);
    s.expect('-');
    int const day = s.digits(2);
    s.expect('t');
    int const hour = s.digits(2);
    s.expect(':');
    int const minute = s.digits(2);
    int second = 0;
    milliseconds fraction{0};
    if (s.skip(':')) {
        second = s.digits(2);
        if (s.skip('.')) {
            fraction += milliseconds(s.digits(1) * 100);
            if (is_digit(s.peek())) fraction += milliseconds(s.digits(1) * 10);
            if (is_digit(s.peek())) fraction += milliseconds(s.digits(1));
            while (is_digit(s.peek())) s.next();
        }
    }
    std::chrono::minutes offset{0};
    if (!s.skip('z')) {
        // +01:00, and +0100 as in Jira's bodies. A time without any zone is no moment.
        bool const west = s.peek() == '-';
        if (!west && s.peek() != '+') return std::nullopt;
        s.next();
        int const hours = s.digits(2);
        s.skip(':');
        int const minutes = s.digits(2);
        if (hours > 23 || minutes > 59) return std::nullopt;
        offset = std::chrono::hours(hours) + std::chrono::minutes(minutes);
        if (west) offset = -offset;
    }
    if (!s.done()) return std::nullopt;
    auto const time = make_time(year, static_cast<unsigned>(month), day, hour, minute, second);
    if (!time) return std::nullopt;
    return *time + fraction - offset;
}

rate_headers of_account_alone(rate_headers const& h, int status) noexcept {
    rate_headers alone;
    alone.date = h.date;
    if (status != 429) return alone;
    // Of the account's two limits the one that tells nothing of how many calls it may have at a time.
    alone.reason = limit_reason::account_cost;
    alone.retry_after = h.retry_after;
    alone.reset = h.reset;
    // Without any word a moment, and not the rest of the hour.
    bool const tells = (h.retry_after && *h.retry_after > std::chrono::seconds(0)) || h.reset;
    if (!tells) alone.retry_after = std::chrono::seconds(1);
    return alone;
}

bool tenant_quota_is_near(rate_headers const& h) noexcept {
    if (!h.near_limit) return false;
    switch (h.reason) {
    case limit_reason::tenant_quota: return true;
    case limit_reason::global_quota:
    case limit_reason::account_cost:
    case limit_reason::account_calls:
    case limit_reason::other_product: return h.tenant_quota.has_value();
    case limit_reason::none:
    case limit_reason::burst:
    case limit_reason::issue_write:
    case limit_reason::unknown: break;
    }
    return h.tenant_quota || !h.global_quota;
}

}  // namespace jirapool
