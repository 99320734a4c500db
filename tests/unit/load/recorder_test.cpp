#include "recorder.hpp"

#include "support/catch.hpp"

#include <thread>

using namespace jirapool;
using namespace jirapool::load;
using namespace std::chrono_literals;

namespace {

result<response> answer(int status) {
    response r;
    r.set_status(status);
    return r;
}

}  // namespace

TEST_CASE("recorders: what several threads recorded is summed by operation, status and error") {
    recorders all;
    auto const work = [&all] {
        for (int i = 0; i < 1000; ++i) all.add(operation::myself, answer(200), 2ms, 1ms);
        all.add(operation::myself, answer(429), 2ms, 1ms);
        all.add(operation::search, failure(errc::timeout), 3s, 3s);
    };
    std::thread one(work);
    std::thread two(work);
    one.join();
    two.join();
    auto const sum = all.total();
    CHECK(sum->of(operation::myself).answered(200) == 2000);
    CHECK(sum->of(operation::myself).answered(429) == 2);
    CHECK(sum->of(operation::myself).response_times().count() == 2002);
    CHECK(sum->of(operation::search).ended_with(static_cast<std::size_t>(errc::timeout)) == 2);
    CHECK(sum->of(operation::search).service_times().max() == 3s);
    CHECK(sum->of(operation::get_issue).response_times().count() == 0);
}

TEST_CASE("recorders: a second set on the same thread is a set of its own") {
    recorders first;
    first.add(operation::myself, answer(200), 1ms, 1ms);
    recorders second;
    second.add(operation::myself, answer(200), 1ms, 1ms);
    first.add(operation::myself, answer(200), 1ms, 1ms);
    CHECK(first.total()->of(operation::myself).answered(200) == 2);
    CHECK(second.total()->of(operation::myself).answered(200) == 1);
}

TEST_CASE("recorders: the first failure of each kind is kept as an example, none of those that a stop ended") {
    recorders all;
    all.add(operation::myself, failure(errc::timeout, "first"), 1s, 1s);
    all.add(operation::myself, failure(errc::timeout, "second"), 1s, 1s);
    all.add(operation::search, failure(errc::stopped), 1s, 1s);
    all.add(operation::search, answer(500), 1s, 1s);
    all.add(operation::search, answer(200), 1s, 1s);
    auto const examples = all.examples();
    CHECK(examples.size() == 2);
    CHECK(examples.at("timeout").find("first") != std::string::npos);
    CHECK(examples.count("500") == 1);
    CHECK(all.total()->of(operation::search).response_times().count() == 2);
}

TEST_CASE("recorders: an error that is none of jirapool's is counted as other") {
    recorders all;
    all.add(operation::myself, failure(make_error_code(boost::system::errc::not_enough_memory)), 1s, 1s);
    CHECK(all.total()->of(operation::myself).ended_with(0) == 1);
    CHECK(all.examples().count("other") == 1);
}
