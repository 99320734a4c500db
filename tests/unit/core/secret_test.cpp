#include <jirapool/core/secret.hpp>

#include "support/catch.hpp"

#include <concepts>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

using namespace jirapool;

namespace {

template <class T>
concept printable = requires(std::ostream& out, T const& value) { out << value; };

}  // namespace

TEST_CASE("secret: it neither prints nor converts nor copies by itself") {
    STATIC_REQUIRE_FALSE(printable<secret>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<secret, std::string>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<secret, std::string_view>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<std::string, secret>);
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<secret>);
    STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<secret>);
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<secret>);
}

TEST_CASE("secret: masked shows the length only") {
    CHECK(secret("hunter2").masked() == "secret(7)");
    CHECK(secret().masked() == "secret(0)");
}

TEST_CASE("secret: equal bytes are equal") {
    CHECK(secret("hunter2") == secret("hunter2"));
    CHECK_FALSE(secret("hunter2") == secret("hunter3"));
    CHECK_FALSE(secret("hunter2") == secret("Hunter2"));
    CHECK_FALSE(secret("hunter2") == secret("hunter"));
    CHECK(secret("").empty());
    secret const nothing;
    CHECK(nothing == secret(""));
}

TEST_CASE("secret: it keeps a NUL") {
    secret const s(std::string_view("a\0b", 3));
    CHECK(s.size() == 3);
    CHECK(s.reveal() == std::string_view("a\0b", 3));
}

TEST_CASE("secret: a moved-from one is empty") {
    secret from("hunter2");
    secret to(std::move(from));
    CHECK(from.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
    CHECK(to.reveal() == "hunter2");

    secret assigned("older");
    assigned = std::move(to);
    CHECK(to.empty());  // NOLINT(bugprone-use-after-move)
    CHECK(assigned.reveal() == "hunter2");
}

TEST_CASE("secret: assigned to itself it stays") {
    secret s("hunter2");
    secret& same = s;
    s = std::move(same);
    CHECK(s.reveal() == "hunter2");
}

TEST_CASE("secret: a clone is another copy of the same bytes") {
    secret const s("hunter2");
    secret const copy = s.clone();
    CHECK(copy == s);
    CHECK(copy.reveal().data() != s.reveal().data());
}

TEST_CASE("wipe: a string's whole capacity is overwritten, also behind its end") {
    std::string text = "hunter2";  // short: the bytes lie inside the string, where they may be read
    char const* const bytes = text.data();
    text.resize(3);
    wipe(text);
    CHECK(text.empty());
    CHECK(std::string_view(bytes, 7) == std::string_view("\0\0\0\0\0\0\0", 7));

    std::string large(200, 'x');
    wipe(large);
    CHECK(large.empty());
}

TEST_CASE("wipe: bytes become zero, and nothing is fine too") {
    char bytes[] = "hunter2";
    wipe(bytes, sizeof bytes - 1);
    CHECK(std::string_view(bytes, sizeof bytes) == std::string_view("\0\0\0\0\0\0\0\0", 8));
    wipe(nullptr, 0);
}
