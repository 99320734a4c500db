#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/names.hpp>

#include "support/catch.hpp"
#include "told_overview.hpp"

#include <prometheus/text_serializer.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>

using namespace jirapool;
using metrics::all_series;
using metrics::series_type;

namespace {

/// The table of README.md as names.hpp has it.
std::string table() {
    std::string text = "| series | type | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n";
    for (auto const& s : all_series) {
        std::string labels;
        for (auto const& l : s.labels) {
            if (l.name.empty()) continue;
            if (!labels.empty()) labels += "; ";
            labels += "`" + std::string(l.name) + "`";
            if (l.name == "version") continue;
            for (std::size_t i = 0; i < l.count; ++i) labels += (i == 0 ? ": " : ", ") + std::string(l.value(i));
        }
        text += "| `" + std::string(s.name) + "` | " + to_string(s.type) + " | " + std::string(s.unit) + " | " +
                labels + " | " + std::string(s.help) + " |\n";
    }
    for (auto const& s : metrics::all_named_series) {
        std::string labels;
        for (auto const l : s.labels)
            if (!l.empty()) labels += (labels.empty() ? "`" : ", `") + std::string(l) + "`";
        text += "| `" + std::string(s.name) + "` | " + to_string(s.type) + " | " + std::string(s.unit) + " | " +
                labels + " | " + std::string(s.help) + " |\n";
    }
    return text;
}

std::string read_file(std::filesystem::path const& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("names: names follow Prometheus' rules and are there once") {
    std::set<std::string_view> names;
    for (auto const& s : all_series) {
        INFO(s.name);
        CHECK(names.insert(s.name).second);
        CHECK(s.name.starts_with("jirapool_"));
        CHECK(s.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == s.name.npos);
        CHECK(s.name.ends_with("_total") == (s.type == series_type::counter));
        if (s.type == series_type::histogram) CHECK(s.name.ends_with("_seconds"));
        CHECK((s.name.find("_seconds") != s.name.npos) == (s.unit == "seconds"));
        CHECK((s.name.find("_bytes") != s.name.npos) == (s.unit == "bytes"));
        CHECK(s.help.ends_with('.'));
        CHECK(s.help.find('\n') == s.help.npos);
        for (std::size_t l = 1; l < s.labels.size(); ++l)
            CHECK((s.labels[l].name.empty() || !s.labels[l - 1].name.empty()));
    }
    for (auto const& s : metrics::all_named_series) {
        INFO(s.name);
        CHECK(names.insert(s.name).second);
        CHECK(s.name.starts_with("jirapool_"));
        CHECK(s.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == s.name.npos);
        CHECK(s.name.ends_with("_total") == (s.type == series_type::counter));
        CHECK(s.name.ends_with("_seconds") == (s.unit == "seconds"));
        CHECK(s.help.ends_with('.'));
        CHECK_FALSE(s.labels[0].empty());
    }
}

TEST_CASE("names: every label value has a text of its own") {
    for (auto const& s : all_series) {
        for (auto const& l : s.labels) {
            if (l.name.empty()) continue;
            INFO(s.name << " " << l.name);
            std::set<std::string> values;
            for (std::size_t i = 0; i < l.count; ++i) values.insert(l.value(i));
            CHECK(values.size() == l.count);
            // Behind an enum's last value its to_string has no name any more: no value is missing here. Channels that are closed are
            // counted by why, in a series of their own.
            auto const behind = l.value == metrics::labels::channel_state.value ? "closed" : "unknown";
            if (l.name != "version") CHECK(std::string(l.value(l.count)) == behind);
        }
    }
}

TEST_CASE("names: the README has this table") {
    auto const readme = std::filesystem::path(JIRAPOOL_METRICS_README);
    auto const text = read_file(readme);
    INFO("in " << readme);
    REQUIRE_FALSE(text.empty());
    bool const same = text.find("\n\n" + table() + "\n") != text.npos;
    if (!same) std::cout << "The table of metrics/README.md should be:\n\n" << table() << '\n';  // to be pasted
    CHECK(same);
    std::string const lines = std::to_string(metrics::sample_count) + " lines";
    INFO("it should say: " << lines);
    bool const says_so = text.find(lines) != text.npos;
    CHECK(says_so);
}

TEST_CASE("names: promtool finds nothing to say about a scrape") {
    if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
        WARN("SKIPPED: promtool is not on PATH");
        return;
    }
    auto const shard = std::make_shared<shard_stats>();
    shard->call_duration[0].observe(std::chrono::milliseconds(3));
    shard->bytes_sent.add(5'000'000'000);
    auto const text = prometheus::TextSerializer().Serialize(metrics::collector(counted({shard})).Collect());

    // What promtool finds goes to the test's own output; its exit status is 0 only when it found nothing.
    FILE* const promtool = popen("promtool check metrics", "w");
    REQUIRE(promtool);
    std::fwrite(text.data(), 1, text.size(), promtool);
    CHECK(pclose(promtool) == 0);
}
