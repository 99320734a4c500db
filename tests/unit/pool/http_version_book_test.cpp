#include "support/catch.hpp"

#include "wire/http_version_book.hpp"

using namespace jirapool;
using namespace jirapool::detail;

namespace {

constexpr steady_time begin{std::chrono::hours(1)};
constexpr auto rest = http_version_book::rest;

}  // namespace

TEST_CASE("http_version_book: three errors in a row bring HTTP/1.1 for a while, for that host alone") {
    http_version_book book(http_versions::either);
    CHECK(book.offered("a", begin) == http_versions::either);
    CHECK_FALSE(book.on_error("a", begin));
    CHECK_FALSE(book.on_error("a", begin));
    CHECK(book.offered("a", begin) == http_versions::either);
    CHECK(book.on_error("a", begin));
    CHECK(book.offered("a", begin) == http_versions::http1);
    CHECK(book.offered("b", begin) == http_versions::either);
    // Those that were under way say nothing new.
    CHECK_FALSE(book.on_error("a", begin));
    book.on_answer("a");
    CHECK(book.offered("a", begin + rest - std::chrono::seconds(1)) == http_versions::http1);
    CHECK(book.offered("a", begin + rest) == http_versions::either);
    // And again.
    CHECK_FALSE(book.on_error("a", begin + rest));
    CHECK_FALSE(book.on_error("a", begin + rest));
    CHECK(book.on_error("a", begin + rest));
}

TEST_CASE("http_version_book: an answer between them begins the row anew, and forgetting a host does not") {
    http_version_book book(http_versions::either);
    book.on_error("a", begin);
    book.on_error("a", begin);
    book.on_answer("a");
    CHECK_FALSE(book.on_error("a", begin));
    CHECK_FALSE(book.on_error("a", begin));
    book.forget("a", begin);
    CHECK(book.on_error("a", begin));
    book.forget("a", begin);
    CHECK(book.offered("a", begin) == http_versions::http1);
    book.forget("a", begin + rest);
    CHECK(book.offered("a", begin) == http_versions::either);
}

TEST_CASE("http_version_book: a server that asks for HTTP/1.1 gets it at once, and what is forced stays so") {
    http_version_book book(http_versions::either);
    CHECK(book.on_refusal("a", begin));
    CHECK_FALSE(book.on_refusal("a", begin));
    CHECK(book.offered("a", begin) == http_versions::http1);
    for (auto const forced : {http_versions::http1, http_versions::http2}) {
        http_version_book only(forced);
        for (int i = 0; i < 5; ++i) CHECK_FALSE(only.on_error("a", begin));
        CHECK_FALSE(only.on_refusal("a", begin));
        CHECK(only.offered("a", begin) == forced);
    }
}
