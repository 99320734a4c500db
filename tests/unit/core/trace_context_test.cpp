#include <jirapool/core/request.hpp>
#include <jirapool/core/trace_context.hpp>

#include "support/catch.hpp"

#include <cstring>
#include <string>
#include <utility>

using namespace jirapool;

namespace {

// The example of the recommendation, section 3.2.
constexpr char const* parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The rule that the request breaks; empty: none.
std::string broken_by(request const& r) {
    errc code = errc::timeout;
    char const* const rule = why_invalid(r, code);
    if (rule == nullptr) return {};
    CHECK(code == errc::invalid_header);
    return rule;
}

std::string broken_by_state(std::string state) {
    return broken_by(request::get("/x").traceparent(parent).tracestate(std::move(state)));
}

bool contains(std::string const& text, char const* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("trace context: a traceparent is of version 00, in lower case, and names a trace and a parent") {
    CHECK(why_invalid_traceparent(parent) == nullptr);
    CHECK(why_invalid_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff") == nullptr);
    auto const* const shape = "32 hexadecimal digits";
    for (auto const& [text, rule] : {
             std::pair("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "version 00"),
             std::pair("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later", "version 00"),
             std::pair("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "version 00"),
             std::pair("00-00000000000000000000000000000000-00f067aa0ba902b7-01", "trace id must not be all zeros"),
             std::pair("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "parent id must not be all zeros"),
             std::pair("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", shape),
             std::pair("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A", shape),
             std::pair("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", shape),
             std::pair("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", shape),
             std::pair("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", shape),
             std::pair("00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01", shape),
             std::pair("00-4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b7-0001", shape),
             std::pair("xx-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "version 00"),
             std::pair("00-", shape),
             std::pair("00", shape),
             std::pair("", shape),
         }) {
        INFO(text);
        char const* const why = why_invalid_traceparent(text);
        REQUIRE(why != nullptr);
        CHECK(std::strstr(why, rule) != nullptr);
        CHECK(std::string(why).starts_with("traceparent"));
    }
}

TEST_CASE("trace context: a tracestate has members of keys and values") {
    std::string many = "a0=1";
    for (int i = 1; i < 32; ++i) many += ",a" + std::to_string(i) + "=1";
    for (std::string const& text : {
             std::string("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
             std::string("fw529a3039@dt=FfhNcWkt; 1:x \t, 0a_-*/=~"),
             std::string("a=1,,b=2, \t,c=3,"),
             std::string(256, 'k') + "=" + std::string(256, 'v'),
             many,
             many + ",,",
         }) {
        INFO(text);
        char const* const why = why_invalid_tracestate(text);
        INFO((why == nullptr ? "" : why));
        CHECK(why == nullptr);
    }
    for (auto const& [text, rule] : {
             std::pair(std::string("rojo"), "members key=value"),
             std::pair(std::string("=1"), "keys"),
             std::pair(std::string("Rojo=1"), "keys"),
             std::pair(std::string("_a=1"), "keys"),
             std::pair(std::string("a b=1"), "keys"),
             std::pair(std::string("a =1"), "keys"),
             std::pair(std::string(257, 'k') + "=v", "keys"),
             std::pair(std::string("a="), "values"),
             std::pair(std::string("a=b=c"), "values"),
             std::pair(std::string("a=\x80"), "values"),
             std::pair(std::string("a=") + std::string(257, 'v'), "values"),
             std::pair(std::string("a=1,b=2,a=3"), "no key twice"),
             std::pair(many + ",a32=1", "at most 32"),
         }) {
        INFO(text);
        char const* const why = why_invalid_tracestate(text);
        REQUIRE(why != nullptr);
        CHECK(std::strstr(why, rule) != nullptr);
        CHECK(std::string(why).starts_with("tracestate"));
    }
}

TEST_CASE("trace context: a request takes part in a trace by one header each, whichever way it is given") {
    auto const r = request::get("/x").traceparent("00-").traceparent(parent).tracestate("a=1").tracestate("b=2");
    CHECK(broken_by(r).empty());
    REQUIRE(r.headers().size() == 2);
    CHECK(r.headers()[0] == std::pair<std::string, std::string>("traceparent", parent));
    CHECK(r.headers()[1] == std::pair<std::string, std::string>("tracestate", "b=2"));
    // What came in without a trace goes out without one.
    CHECK(request::get("/x").traceparent("").tracestate("").headers().empty());
    CHECK(request::get("/x").header("Traceparent", "x").traceparent("").headers().empty());

    CHECK(broken_by(request::get("/x").header("Traceparent", parent).header("TraceState", "a=1")).empty());
    CHECK(contains(broken_by(request::get("/x").traceparent("00-4bf9")), "32 hexadecimal digits"));
    CHECK(contains(broken_by(request::get("/x").header("TRACEPARENT", "none")), "32 hexadecimal digits"));
    CHECK(contains(broken_by_state("Rojo=1"), "tracestate's keys"));
    CHECK(contains(broken_by_state("a=1\r\nHost: x"), "control character"));
    CHECK(contains(broken_by(request::get("/x").tracestate("a=1")), "without traceparent"));
    CHECK(contains(broken_by(request::get("/x").traceparent(parent).header("Traceparent", parent)),
                   "traceparent must be given once"));
    CHECK(contains(broken_by(request::get("/x").traceparent(parent).tracestate("a=1").header("tracestate", "b=1")),
                   "tracestate must be given once"));
}
