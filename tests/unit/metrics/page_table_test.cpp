#include "page_table.hpp"

#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/listener.hpp>

#include "support/catch.hpp"
#include "told_overview.hpp"

#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace jirapool;
using metrics::listener;
using metrics::page;
using metrics::page_answer;
using metrics::page_request;
using metrics::page_table;
using metrics::token_file;

namespace {

std::string get(std::string const& target, std::string const& headers = {}) {
    return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}

page saying(std::string path, std::string body) {
    return {std::move(path), [body = std::move(body)](page_request const&) {
                return page_answer{.status = 200, .content_type = "application/json", .body = body};
            }};
}

std::string body_of(std::string const& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }
bool has(std::string const& answer, std::string const& line) {
    return answer.find("\r\n" + line + "\r\n") != answer.npos;
}

std::string gunzipped(std::string const& bytes) {
    z_stream s{};
    REQUIRE(inflateInit2(&s, 16 + MAX_WBITS) == Z_OK);
    std::string out(1'000'000, '\0');
    s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    s.avail_in = static_cast<uInt>(bytes.size());
    s.next_out = reinterpret_cast<Bytef*>(out.data());
    s.avail_out = static_cast<uInt>(out.size());
    CHECK(inflate(&s, Z_FINISH) == Z_STREAM_END);
    CHECK(s.avail_in == 0);
    out.resize(s.total_out);
    inflateEnd(&s);
    return out;
}

/// A file of the test's own.
class scratch_file {
public:
    explicit scratch_file(std::string const& text) {
        char name[] = "/tmp/jirapool-token-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        folder_ = name;
        write(text);
    }
    scratch_file(scratch_file const&) = delete;
    scratch_file& operator=(scratch_file const&) = delete;
    ~scratch_file() { std::filesystem::remove_all(folder_); }

    std::string path() const { return folder_ / "token"; }
    /// In place, as an editor that is careless does it.
    void write(std::string const& text) const { std::ofstream(path(), std::ios::trunc) << text; }
    /// By another file of the same size that takes its place, as Kubernetes does it.
    void swap(std::string const& text) const {
        std::ofstream(folder_ / "new") << text;
        std::filesystem::rename(folder_ / "new", path());
    }
    void remove() const { std::filesystem::remove(path()); }

private:
    std::filesystem::path folder_;
};

std::string why(std::string path) {
    auto const opened = token_file::open(std::move(path));
    REQUIRE(opened.has_error());
    auto const e = opened.error();
    CHECK(e.code() == errc::invalid_argument);
    CHECK(e.field() == "bearer_token_file");
    return e.rule();
}

}  // namespace

TEST_CASE("page_table: a page gets its path, decoded parameters and what its client reads") {
    page_request seen;
    page_table t({saying("/other", "other"), {"/sites", [&](page_request const& r) {
                                                  seen = r;
                                                  return page_answer{
                                                      .status = 200, .content_type = "application/json", .body = "{}"};
                                              }}});
    auto const answer = t.answer(get("/sites?state=a%20b+c&x&empty=&state=2&%3d=%26",
                                     "ACCEPT: text/x\r\nAccept:  b ;q=1 \r\n"));
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(has(answer, "Content-Type: application/json"));
    CHECK(has(answer, "Content-Length: 2"));
    CHECK(has(answer, "Vary: Accept, Accept-Encoding"));
    CHECK(body_of(answer) == "{}");
    CHECK(seen.path == "/sites");
    CHECK(seen.accept == "text/x,b ;q=1");
    REQUIRE(seen.parameters.size() == 5);
    CHECK(seen.parameter("state") == "a b c");
    CHECK(seen.parameter("x") == "");
    CHECK(seen.parameter("empty") == "");
    CHECK(seen.parameter("=") == "&");
    CHECK_FALSE(seen.parameter("y"));
    CHECK(body_of(t.answer(get("/other"))) == "other");
}

TEST_CASE("page_table: what no page answers is told so") {
    page_table t({saying("/sites", "{}"),
                  {"/broken", [](page_request const&) -> page_answer { throw std::runtime_error("x"); }},
                  {"/gone", [](page_request const&) { return page_answer{.status = 410, .body = "gone"}; }}});
    CHECK(t.answer(get("/site")).starts_with("HTTP/1.1 404 Not Found\r\n"));
    CHECK(t.answer(get("/sites/")).starts_with("HTTP/1.1 404 "));
    CHECK(t.answer(get("/")).starts_with("HTTP/1.1 404 "));
    auto const post = t.answer("POST /sites HTTP/1.1\r\n\r\n");
    CHECK(post.starts_with("HTTP/1.1 405 "));
    CHECK(has(post, "Allow: GET, HEAD"));
    CHECK(t.answer(get("/broken")).starts_with("HTTP/1.1 500 "));
    CHECK(t.answer(get("/gone")).starts_with("HTTP/1.1 410 \r\n"));

    auto const head = t.answer("HEAD /sites HTTP/1.1\r\n\r\n");
    CHECK(head.starts_with("HTTP/1.1 200 "));
    CHECK(has(head, "Content-Length: 2"));
    CHECK(body_of(head).empty());
    CHECK(body_of(t.answer("HEAD /nothing HTTP/1.1\r\n\r\n")).empty());
}

TEST_CASE("page_table: a request that may be understood in two ways is refused") {
    page_table t({saying("/sites", "{}")});
    for (std::string const bad :
         {"", "GET", "GET /sites", "GET /sites HTTP/2", "GET /sites HTTP/1.1\r\nNoColon\r\n\r\n",
          "GET /sites HTTP/1.1\r\n: x\r\n\r\n", "GET /sites HTTP/1.1\r\nA: x\r\n folded\r\n\r\n",
          "GET /sites HTTP/1.1\r\nAccept : x\r\n\r\n", "GET /sites?a=%2 HTTP/1.1\r\n\r\n",
          "GET /sites?a=%zz HTTP/1.1\r\n\r\n", "GET /sites?%=1 HTTP/1.1\r\n\r\n", "GET /sites HTTP/1.1\r\nA: x\r\n",
          "GET /sites HTTP/1.1\r\nAuthorization: a\r\nauthorization: a\r\n\r\n"}) {
        INFO(bad);
        CHECK(t.answer(bad).starts_with("HTTP/1.1 400 "));
    }
}

TEST_CASE("page_table: who reads gzip gets it, unless the answer is short") {
    std::string text;
    for (int i = 0; i < 2000; ++i) text += "jirapool_calls_total{n=\"" + std::to_string(i) + "\"} 0\n";
    page_table t({saying("/long", text), saying("/short", "{}")});
    auto const answer = t.answer(get("/long", "Accept-Encoding: gzip\r\n"));
    CHECK(has(answer, "Content-Encoding: gzip"));
    CHECK(has(answer, "Content-Length: " + std::to_string(body_of(answer).size())));
    CHECK(body_of(answer).size() < text.size() / 4);
    CHECK(gunzipped(body_of(answer)) == text);
    CHECK(body_of(t.answer(get("/long"))) == text);
    CHECK(body_of(t.answer(get("/long", "Accept-Encoding: gzip;q=0\r\n"))) == text);
    CHECK(body_of(t.answer(get("/short", "Accept-Encoding: gzip\r\n"))) == "{}");
}

TEST_CASE("page_table: a scrape is served in the format that was asked for, of foreign metrics as text") {
    page_table t({metrics::metrics_page(std::make_shared<metrics::collector>(counted({})))});
    CHECK(has(t.answer(get("/metrics")), "Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    auto const om = t.answer(get("/metrics", "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n"));
    CHECK(has(om, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    CHECK(om.ends_with("\n# EOF\n"));
    auto const pb = t.answer(
        get("/metrics",
            "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n"));
    CHECK(has(
        pb,
        "Content-Type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"));
    CHECK(body_of(pb).find("jirapool_build_info") != pb.npos);

    class foreign final : public prometheus::Collectable {
    public:
        std::vector<prometheus::MetricFamily> Collect() const override {
            prometheus::MetricFamily f;
            f.name = "foreign";
            f.help = "Help.";
            f.type = prometheus::MetricType::Gauge;
            f.metric.emplace_back();
            return {f};
        }
    };
    page_table other({metrics::metrics_page(std::make_shared<foreign>())});
    auto const text = other.answer(get("/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n"));
    CHECK(has(text, "Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    CHECK(body_of(text).find("foreign 0") != text.npos);
}

TEST_CASE("page_table: with a token only who shows it is served, whatever the page") {
    scratch_file const file(" s3cret-word\n");
    page_table t({saying("/sites", "{}")}, token_file::open(file.path()).value());
    auto const with = [&](std::string const& authorization, std::string const& path = "/sites") {
        return t.answer(get(path, "Authorization: " + authorization + "\r\n"));
    };
    auto const none = t.answer(get("/sites"));
    CHECK(none.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    CHECK(has(none, "WWW-Authenticate: Bearer realm=\"jirapool\""));
    CHECK(none.find("{}") == none.npos);
    CHECK(t.answer(get("/nothing")).starts_with("HTTP/1.1 401 "));
    CHECK(t.answer("POST /sites HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 401 "));
    for (std::string const wrong :
         {"Bearer wrong", "Bearer s3cret-wor", "Bearer s3cret-word2", "Bearer S3cret-word", "Bearer "}) {
        INFO(wrong);
        CHECK(with(wrong).starts_with("HTTP/1.1 401 "));
    }
    CHECK(has(with("Bearer wrong"), "WWW-Authenticate: Bearer realm=\"jirapool\", error=\"invalid_token\""));
    for (std::string const other : {"s3cret-word", "Basic s3cret-word", "Bearers3cret-word", ""}) {
        INFO(other);
        CHECK(with(other).starts_with("HTTP/1.1 401 "));
    }
    CHECK(with("Bearer s3cret-word").starts_with("HTTP/1.1 200 "));
    CHECK(with("bearer   s3cret-word").starts_with("HTTP/1.1 200 "));
    CHECK(with("Bearer s3cret-word", "/nothing").starts_with("HTTP/1.1 404 "));
}

TEST_CASE("page_table: a changed token holds at once, and a file that is gone or empty never opens the door") {
    scratch_file const file("first");
    page_table t({saying("/sites", "{}")}, token_file::open(file.path()).value());
    auto const status = [&](std::string const& word) {
        return t.answer(get("/sites", word.empty() ? "" : "Authorization: Bearer " + word + "\r\n")).substr(9, 3);
    };
    CHECK(status("first") == "200");
    file.swap("other");
    CHECK(status("first") == "401");
    CHECK(status("other") == "200");
    file.write("third-one\n");
    CHECK(status("other") == "401");
    CHECK(status("third-one") == "200");
    file.write("\n");
    CHECK(status("third-one") == "503");
    CHECK(status("") == "503");
    file.write("two words");
    CHECK(status("two words") == "503");
    file.remove();
    CHECK(status("third-one") == "503");
    CHECK(status("") == "503");
    file.write("third-one");
    CHECK(status("third-one") == "200");
}

TEST_CASE("token_file: a file without a word that can be sent is refused, with why") {
    scratch_file const file("");
    CHECK(why(file.path()) == "must not be empty");
    file.write(" \r\n\t");
    CHECK(why(file.path()) == "must not be empty");
    file.write("two words");
    CHECK(why(file.path()) == "must have one word of printable ASCII");
    file.write("umläut");
    CHECK(why(file.path()) == "must have one word of printable ASCII");
    file.write(std::string(4097, 'x'));
    CHECK(why(file.path()) == "must not have more than 4096 bytes");
    file.write(std::string(4096, 'x'));
    CHECK(token_file::open(file.path()).has_value());
    file.remove();
    CHECK(why(file.path()) == "cannot be read: No such file or directory");
    CHECK(why("/tmp") == "must be a regular file");
    CHECK(why("/dev/null") == "must be a regular file");
}

TEST_CASE("listener: pages and a token's file that cannot be served are refused before it listens") {
    auto const rule = [](std::vector<page> pages) {
        auto const l = listener::open("127.0.0.1:0", std::move(pages));
        REQUIRE(l.has_error());
        CHECK(l.error().field() == "pages");
        return l.error().rule();
    };
    CHECK(rule({saying("sites", "")}) == "must have paths that begin with a slash");
    CHECK(rule({saying("/a", ""), saying("/b", ""), saying("/a", "")}) == "must have each path once");
    CHECK(rule({{"/a", {}}}) == "must have a function each");

    auto const l = listener::open("127.0.0.1:0", {saying("/a", "")}, {.bearer_token_file = "/nowhere/token"});
    REQUIRE(l.has_error());
    CHECK(l.error().field() == "bearer_token_file");
    CHECK(l.error().rule() == "cannot be read: No such file or directory");
}

TEST_CASE("page_table: what a page says that is no HTTP is a status 500") {
    metrics::page_answer said;
    page_table t({{"/x", [&](metrics::page_request const&) { return said; }}});
    std::string const ask = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    said.body = "hello";
    for (int const status : {200, 299, 404, 418, 599}) {
        said.status = status;
        CHECK(t.answer(ask).starts_with("HTTP/1.1 " + std::to_string(status) + " "));
    }
    for (int const status : {-1, 0, 99, 100, 101, 199, 204, 304, 600, 1000}) {
        said.status = status;
        CHECK(t.answer(ask).starts_with("HTTP/1.1 500 "));
    }
    said.status = 200;
    said.content_type = "text/plain\r\nX-Evil: 1";
    auto const evil = t.answer(ask);
    CHECK(evil.starts_with("HTTP/1.1 500 "));
    CHECK(evil.find("X-Evil") == evil.npos);
}
