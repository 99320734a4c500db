#include "json_error.hpp"

#include "loose_number.hpp"

#include <bitset>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <system_error>

namespace jirapool {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t max_depth = 1024;  // simdjson's default

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

class walker {
public:
    explicit walker(std::string_view text) noexcept : text_(text) {}

    json_error walk() noexcept {
        do {
            if (!value()) return {at_, what_};
            while (depth_ > 0 && closes())
                if (!close()) return {at_, what_};
        } while (depth_ > 0 && separate());
        if (what_ == nullptr && peek() != end) fail("something follows the document");
        return {at_, what_};
    }

private:
    static constexpr int end = -1;

    int byte(std::size_t i) const noexcept { return i < text_.size() ? static_cast<unsigned char>(text_[i]) : end; }
    /// The next byte that is no white space.
    int peek() noexcept {
        while (at_ < text_.size() && " \t\r\n"sv.find(text_[at_]) != std::string_view::npos) ++at_;
        return byte(at_);
    }
    bool fail(char const* what) noexcept {
        what_ = at_ >= text_.size() ? "the text ends too early" : what;
        return false;
    }
    bool in_object() const noexcept { return object_[depth_ - 1]; }

    /// One value; of an array or object that is not empty its beginning, up to the first value in it.
    bool value() noexcept {
        for (;;) {
            int const c = peek();
            if (c == '"') return string();
            if (c == '-' || (c >= '0' && c <= '9')) return number();
            if (c != '{' && c != '[') return word();
            if (depth_ == max_depth) return fail("this is nested too deep");
            ++at_;
            object_[depth_++] = c == '{';
            if (closes()) return close();
            if (c == '{' && !name()) return false;
        }
    }

    bool closes() noexcept { return peek() == (in_object() ? '}' : ']'); }
    bool close() noexcept {
        ++at_;
        --depth_;
        return true;
    }

    /// What stands between two values.
    bool separate() noexcept {
        if (peek() != ',') return fail(in_object() ? "a comma or } must stand here" : "a comma or ] must stand here");
        auto const comma = at_++;
        if (closes()) {
            at_ = comma;
            return fail("nothing follows this comma");
        }
        return !in_object() || name();
    }

    bool name() noexcept {
        if (peek() != '"') return fail("a name in double quotes must stand here");
        if (!string()) return false;
        if (peek() != ':') return fail("a colon must stand here");
        ++at_;
        return true;
    }

    bool string() noexcept {
        auto const begin = at_++;
        for (; byte(at_) != '"'; ++at_) {
            int const c = byte(at_);
            if (c == end) {
                at_ = begin;
                return fail("this string has no end");
            }
            if (c < 0x20) return fail("a string must have no line break or other control character in it");
            if (c == '\\' && !escape()) return false;
        }
        ++at_;
        return true;
    }

    /// The four digits behind the \u at `i`, or -1.
    int code_unit(std::size_t i) const noexcept {
        int value = 0;
        for (std::size_t k = i + 2; k < i + 6; ++k) {
            int const c = byte(k);
            if (c == end || !is_hex(static_cast<char>(c))) return -1;
            value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        return byte(i) == '\\' && byte(i + 1) == 'u' ? value : -1;
    }

    bool escape() noexcept {
        constexpr auto none = "this backslash begins no escape of JSON";
        int const c = byte(at_ + 1);
        if (c == end || "\"\\/bfnrtu"sv.find(static_cast<char>(c)) == std::string_view::npos) return fail(none);
        if (c != 'u') {
            ++at_;
            return true;
        }
        int const unit = code_unit(at_);
        if (unit < 0) return fail(none);
        bool const pair = unit >= 0xd800 && unit < 0xe000;
        int const second = pair ? code_unit(at_ + 6) : 0;
        if (pair && (unit >= 0xdc00 || second < 0xdc00 || second >= 0xe000))
            return fail("half a character is escaped here");
        at_ += pair ? 11 : 5;
        return true;
    }

    bool number() noexcept {
        constexpr auto bad = "this is no number of JSON";
        auto i = at_ + (byte(at_) == '-' ? 1 : 0);
        auto const digits = [&] {
            auto const begin = i;
            while (byte(i) != end && is_digit(static_cast<char>(byte(i)))) ++i;
            return i - begin;
        };
        auto const digits_begin = i;
        bool const zero = byte(i) == '0';
        auto const whole = digits();
        if (whole == 0 || (zero && whole > 1)) return fail(bad);
        if (byte(i) == '.') {
            ++i;
            if (digits() == 0) return fail(bad);
        }
        if (byte(i) == 'e' || byte(i) == 'E') {
            ++i;
            if (byte(i) == '+' || byte(i) == '-') ++i;
            if (digits() == 0) return fail(bad);
        }
        if (i - digits_begin == whole ? !fits_64_bits(text_.substr(at_, i - at_))
                                      : std::isinf(read_loose_number(text_.substr(at_, i - at_))->value))
            return fail("this number is too large");
        at_ = i;
        return true;
    }

    static bool fits_64_bits(std::string_view digits) noexcept {
        std::int64_t negative = 0;
        std::uint64_t positive = 0;
        auto const* const first = digits.data();
        auto const* const last = first + digits.size();
        auto const read = digits.starts_with('-') ? std::from_chars(first, last, negative)
                                                  : std::from_chars(first, last, positive);
        return read.ec == std::errc();
    }

    bool word() noexcept {
        for (auto const w : {"true"sv, "false"sv, "null"sv}) {
            if (!text_.substr(at_).starts_with(w)) continue;
            at_ += w.size();
            return true;
        }
        return fail("a value must stand here");
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t depth_ = 0;
    std::bitset<max_depth> object_;
    char const* what_ = nullptr;
};

}  // namespace

json_error find_json_error(std::string_view text) noexcept { return walker(text).walk(); }

}  // namespace jirapool
