// The head of a request to the listener of metrics: any bytes are answered, and wholly.
#include "fuzz/fuzz.hpp"

#include "header_list.hpp"
#include "http_request.hpp"
#include "page_table.hpp"

#include <jirapool/metrics/exposition.hpp>

#include <string>
#include <string_view>

using namespace jirapool;
using metrics::page_answer;
using metrics::page_request;
using metrics::page_table;

namespace {

constexpr std::string_view mark = "what the page says";

page_table& pages() {
    static page_table table({{"/metrics", [](page_request const& r) {
                                  page_answer a;
                                  a.content_type = metrics::content_type(metrics::negotiate(r.accept));
                                  // Sometimes long enough to be compressed.
                                  a.body = std::string(mark) + std::string(r.parameters.size() * 600, ' ');
                                  return a;
                              }}});
    return table;
}

}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::exact_copy const head({reinterpret_cast<char const*>(data), size});
    auto const request = metrics::parse_http_request(head.view());
    auto const answer = pages().answer(head.view());
    FUZZ_CHECK(answer.starts_with("HTTP/1.1 "));
    auto const status = answer.substr(9, 3);
    auto const end = answer.find("\r\n\r\n");
    FUZZ_CHECK(end != answer.npos);
    FUZZ_CHECK((status == "400") == !request);
    if (!request) return 0;
    FUZZ_CHECK((status == "200") ==
               (request->page.path == "/metrics" && (request->method == "GET" || request->method == "HEAD")));
    FUZZ_CHECK(request->method != "HEAD" || answer.size() == end + 4);
    FUZZ_CHECK(answer.find("Content-Encoding: gzip") == answer.npos || metrics::accepts_gzip(request->accept_encoding));
    for (auto const& c : metrics::parse_choices(request->page.accept)) {
        FUZZ_CHECK(c.weight >= 0 && c.weight <= 1);
        FUZZ_CHECK(!c.what.empty());
    }
    return 0;
}
