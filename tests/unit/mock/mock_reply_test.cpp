#include "support/catch.hpp"

#include "reply.hpp"

using namespace jirapool::mock;

namespace {

wall_time const now{std::chrono::seconds{1'767'229'261}};

std::string rendered(reply const& r, bool head = false, bool keep_alive = true) {
    std::string out;
    render(r, head, keep_alive, now, out);
    return out;
}

TEST_CASE("mock replies: an answer is a head, its length and its body") {
    reply r;
    r.content_type = "application/json";
    r.headers = std::string("X-A: 1\r\n");
    // Named: GCC 12 warns of assignments of short literals (bug 105651).
    r.body = std::string("{}");
    CHECK(rendered(r) ==
          "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 01:01:01 GMT\r\nServer: AtlassianEdge\r\n"
          "Content-Type: application/json\r\nX-A: 1\r\nContent-Length: 2\r\n\r\n{}");
    CHECK(rendered(r, true).ends_with("Content-Length: 2\r\n\r\n"));
    CHECK(rendered(r, false, false).ends_with("Connection: close\r\n\r\n{}"));
}

TEST_CASE("mock replies: no length and no body with 204") {
    reply r;
    r.status = 204;
    std::string const text = rendered(r);
    CHECK(text.find("Content-Length") == std::string::npos);
    CHECK(text.ends_with("\r\n\r\n"));
}

TEST_CASE("mock replies: a chunked answer is whole chunks and an end") {
    reply r;
    r.chunked = true;
    r.body = std::string(5000, 'x');
    std::string const text = rendered(r);
    std::string const body = text.substr(text.find("\r\n\r\n") + 4);
    CHECK(body == "1000\r\n" + std::string(4096, 'x') + "\r\n388\r\n" + std::string(904, 'x') + "\r\n0\r\n\r\n");
}

TEST_CASE("mock replies: a scripted answer is sent as it was scripted") {
    reply r;
    r.scripted = scripted_reply(418, "tea");
    CHECK(rendered(r) == "HTTP/1.1 418 Status\r\nDate: Thu, 01 Jan 2026 01:01:01 GMT\r\nContent-Length: 3\r\n\r\ntea");
    r.scripted->headers.emplace_back("content-length", "99");
    CHECK(rendered(r).find("Content-Length: 3") == std::string::npos);
    r.scripted->raw = "garbage";
    CHECK(rendered(r) == "garbage");
    r.scripted->raw = "";
    CHECK(rendered(r).empty());
}

}  // namespace
