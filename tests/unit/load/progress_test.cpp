#include "progress.hpp"

#include "support/catch.hpp"

using namespace jirapool::load;
using namespace std::chrono_literals;

TEST_CASE("progress: a duration has three digits that matter") {
    CHECK(to_text(850us) == "0.85 ms");
    CHECK(to_text(12'340us) == "12.3 ms");
    CHECK(to_text(1234ms) == "1234 ms");
    CHECK(to_text(31'240ms) == "31.2 s");
    CHECK(to_text(0ns) == "0.00 ms");
}

TEST_CASE("progress: the line names what there is, unsent calls only when there are some") {
    progress p;
    p.elapsed = 3s;
    p.rate = 2000;
    p.in_flight = 12;
    p.token_refreshes = 7;
    CHECK(to_text(p).find("2000.0 calls/s  in flight 12") != std::string::npos);
    CHECK(to_text(p).find("tokens 7") != std::string::npos);
    CHECK(to_text(p).find("unsent") == std::string::npos);
    p.unsent = 5;
    CHECK(to_text(p).find("unsent 5") != std::string::npos);
}
