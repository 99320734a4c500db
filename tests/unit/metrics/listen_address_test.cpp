#include "listen_address.hpp"

#include "support/catch.hpp"

#include <string>
#include <string_view>

using namespace jirapool;
using metrics::parse_listen_address;

TEST_CASE("listen_address: the documented forms are read") {
    CHECK(parse_listen_address("127.0.0.1:9464").value().text() == "127.0.0.1:9464");
    CHECK(parse_listen_address("localhost:1").value().text() == "127.0.0.1:1");
    CHECK(parse_listen_address(":65535").value().text() == "0.0.0.0:65535");
    CHECK(parse_listen_address(":0").value().text() == "0.0.0.0:0");
    CHECK(parse_listen_address("[::1]:9464").value().text() == "[::1]:9464");
}

TEST_CASE("listen_address: anything else is refused, civetweb's own notation too") {
    using namespace std::string_view_literals;
    // clang-format off
    for (char const* const text : {
        "", ":", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1",
        "127.0.0.1:94 ", " 127.0.0.1:94", "127.0.0.1:94s", "127.0.0.1:94r", "127.0.0.1:94,127.0.0.1:95", "+9464",
        "::1:9464", "[::1]", "[]:94", "[127.0.0.1]:94", "127.1:94", "256.0.0.1:94", "example.com:94",
        "http://127.0.0.1:94"
    }) {
        // clang-format on
        INFO(text);
        auto const r = parse_listen_address(text);
        REQUIRE(r.has_error());
        CHECK(r.error().code() == errc::invalid_argument);
        CHECK(r.error().field() == "address");
    }
    CHECK(parse_listen_address("127.0.0.1\0:94"sv).has_error());
}
