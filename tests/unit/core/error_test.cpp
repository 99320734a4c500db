#include <jirapool/core/error.hpp>
#include <jirapool/core/result.hpp>

#include "support/catch.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

constexpr errc every_errc[] = {
    errc::unreadable_file,    errc::empty_file,
    errc::file_too_large,     errc::not_utf8,
    errc::not_json,           errc::missing_field,
    errc::empty_field,        errc::unknown_field,
    errc::mixed_kinds,        errc::invalid_field,
    errc::duplicate_field,    errc::duplicate_id,
    errc::invalid_target,     errc::invalid_header,
    errc::body_not_allowed,   errc::unsupported_for_kind,
    errc::invalid_argument,   errc::timeout,
    errc::cancelled,          errc::stopped,
    errc::connection_removed, errc::limited_past_deadline,
    errc::queue_full,         errc::credential_refused,
    errc::token_unavailable,  errc::anonymous_answer,
    errc::resolve_failed,     errc::connect_failed,
    errc::tls_failed,         errc::certificate_refused,
    errc::channel_lost,       errc::protocol_error,
    errc::response_too_large, errc::webhook_refused,
    errc::sink_failed,        errc::source_failed,
};

}  // namespace

TEST_CASE("errc: each has a name and a sentence of its own") {
    std::set<std::string> names;
    std::set<std::string> sentences;
    for (errc const e : every_errc) {
        names.insert(to_string(e));
        sentences.insert(error_code(e).message());
    }
    CHECK(names.size() == std::size(every_errc));
    CHECK(sentences.size() == std::size(every_errc));
    CHECK(names.count("unknown") == 0);
    CHECK(std::string(to_string(static_cast<errc>(9999))) == "unknown");
}

TEST_CASE("errc: an error_code is of the jirapool category and a failure") {
    error_code const code = errc::timeout;
    CHECK(std::string(code.category().name()) == "jirapool");
    CHECK(code.value() == 40);
    CHECK(code.failed());
    CHECK(code == errc::timeout);
    CHECK(code != errc::cancelled);
}

TEST_CASE("advice: an error has the one that its group calls for") {
    CHECK(error_code(errc::mixed_kinds) == advice::fix_configuration);
    CHECK(error_code(errc::unreadable_file) == advice::fix_configuration);
    CHECK(error_code(errc::invalid_target) == advice::fix_request);
    CHECK(error_code(errc::credential_refused) == advice::reauthorize);
    CHECK(error_code(errc::anonymous_answer) == advice::reauthorize);
    CHECK(error_code(errc::timeout) == advice::retryable);
    CHECK(error_code(errc::channel_lost) == advice::retryable);
    CHECK(error_code(errc::token_unavailable) == advice::retryable);
}

TEST_CASE("advice: no error has two, and the caller's own doing has none") {
    constexpr advice every_advice[] = {advice::fix_configuration, advice::fix_request, advice::reauthorize,
                                       advice::retryable};
    auto const count = [&](errc e) {
        return std::count_if(std::begin(every_advice), std::end(every_advice),
                             [&](advice a) { return error_code(e) == a; });
    };
    for (errc const e : every_errc) {
        INFO(to_string(e));
        CHECK(count(e) <= 1);
    }
    for (errc const e : {errc::cancelled, errc::stopped, errc::connection_removed, errc::certificate_refused}) {
        INFO(to_string(e));
        CHECK(count(e) == 0);
    }
}

TEST_CASE("advice: another category's code of the same number has none") {
    error_code const foreign(static_cast<int>(errc::timeout), boost::system::generic_category());
    CHECK_FALSE(foreign == advice::retryable);
}

TEST_CASE("failure: describe names the connection, the field, the rule and the code") {
    auto const f = failure(errc::invalid_field, "must be a UUID").with_field("cloud_id").with_connection("acme");
    CHECK(f.describe() == "connection 'acme': cloud_id: must be a UUID [invalid_field]");
}

TEST_CASE("failure: describe says where a call was and what the caller may conclude") {
    auto const f = failure(errc::timeout)
                       .at(stage::first_byte)
                       .with_connection("acme")
                       .with_maybe_processed(true)
                       .with_retry_after(1500ms)
                       .with_trace_id("abc");
    CHECK(f.describe() ==
          "connection 'acme': the call's deadline or a limit of its stage passed; at first_byte; Jira may have acted "
          "on it; "
          "retry after 1500 ms; trace abc [timeout]");
}

TEST_CASE("failure: describe is one line whatever a peer said") {
    failure const f(errc::tls_failed, "alert\r\nforged: line\x7f");
    CHECK(f.describe() == "alert  forged: line  [tls_failed]");
}

TEST_CASE("failure: a code of another category is named with it") {
    failure const f(error_code(2, boost::system::generic_category()));
    CHECK(f.describe().find("[generic:2]") != std::string::npos);
}

TEST_CASE("failure: a copy is one of its own, and what was moved from or says nothing has no words") {
    auto const whole = [] {
        return failure(errc::timeout, "rule")
            .with_field("field")
            .with_connection("a connection whose id is longer than a small string")
            .with_peer("peer")
            .with_trace_id("trace")
            .with_status(503)
            .with_retry_after(1500ms)
            .with_maybe_processed(true)
            .at(stage::body);
    };
    auto const said = whole().describe();
    failure a = whole();
    failure b = a;
    CHECK(b.describe() == said);
    a = std::move(a).with_rule("another");
    CHECK(b.describe() == said);
    auto& same = b;
    b = same;
    CHECK(b.describe() == said);
    failure c = std::move(b);
    CHECK(c.describe() == said);
    CHECK(b.rule().empty());  // NOLINT(bugprone-use-after-move)
    b = c;
    CHECK(b.describe() == said);
    // NOLINTBEGIN(bugprone-use-after-move): only the rule is taken
    CHECK(std::move(c).rule() == "rule");
    CHECK(c.rule().empty());
    CHECK(c.peer() == "peer");
    // NOLINTEND(bugprone-use-after-move)
    failure const silent(errc::stopped);
    CHECK((silent.rule() + silent.field() + silent.connection() + silent.peer() + silent.trace_id()).empty());
    CHECK(silent.explanation() == nullptr);
    b = silent;
    CHECK(b.describe() == silent.describe());
}

TEST_CASE("result: value() without one throws a system_error with the failure's text") {
    result<int> const r = failure(errc::timeout).with_connection("acme");
    try {
        static_cast<void>(r.value());
        FAIL("did not throw");
    } catch (boost::system::system_error const& e) {
        CHECK(e.code() == errc::timeout);
        CHECK(std::string(e.what()) == r.error().describe());
    }
}

TEST_CASE("stage: each has a name") {
    std::set<std::string> names;
    for (std::size_t i = 0; i < stage_count; ++i) names.insert(to_string(static_cast<stage>(i)));
    CHECK(names.size() == stage_count);
    CHECK(names.count("unknown") == 0);
}
