#include <jirapool/core/registry_ledger.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace std::string_literals;
using kind = registry_step::kind;

namespace {

std::string cloud(int n) {
    auto digits = std::to_string(n);
    return "11223344-aabb-4cdd-8eff-" + std::string(12 - digits.size(), '0') + digits;
}

// One connection of a file: its id, its site and its secret; without a secret it cannot be used, without an id it has no name.
struct line {
    std::string id;
    int site = 0;
    std::string key;
};

std::string json_of(line const& l) {
    return R"({"id":")" + l.id + R"(","cloud_id":")" + cloud(l.site) + R"(","apiKey":")" + l.key + "\"}";
}

read_file_of_connections file(std::string name, std::vector<line> const& lines) {
    std::string text;
    for (auto const& l : lines) text += (text.empty() ? "[" : ",") + json_of(l);
    return {std::move(name), parse_connections(text.empty() ? "[]" : text + "]", system_secrets())};
}

read_file_of_connections broken(std::string name) {
    return {std::move(name), parse_connections(R"([{"id":)", system_secrets())};
}

registry_ledger::plan compare(registry_ledger& ledger, read_file_of_connections a) {
    std::vector<read_file_of_connections> all;
    all.push_back(std::move(a));
    return ledger.compare(std::move(all));
}
registry_ledger::plan compare(registry_ledger& ledger, read_file_of_connections a, read_file_of_connections b) {
    std::vector<read_file_of_connections> all;
    all.push_back(std::move(a));
    all.push_back(std::move(b));
    return ledger.compare(std::move(all));
}

void carry_out(registry_ledger& ledger, registry_ledger::plan p) {
    for (auto& s : p.steps) {
        if (s.config) ledger.book(std::move(*s.config), s.file);
        else ledger.forget(s.id);
    }
}

std::string text_of(registry_ledger::plan const& p) {
    std::string text;
    for (auto const& s : p.steps) {
        switch (s.what) {
        case kind::remove: text += "-"; break;
        case kind::move: text += "!"; break;
        case kind::replace: text += "="; break;
        case kind::add: text += "+"; break;
        }
        text += s.id + " ";
    }
    return text;
}

}  // namespace

TEST_CASE("registry ledger: what comes, goes and changes is told apart, and what stays is left alone") {
    registry_ledger ledger;
    auto first = compare(ledger, file("a", {{"one", 1, "k"}, {"two", 2, "k"}, {"three", 3, "k"}, {"four", 4, "k"}}));
    CHECK(text_of(first) == "+one +two +three +four ");
    carry_out(ledger, std::move(first));

    auto next = compare(ledger, file("a", {{"four", 4, "k"}, {"two", 2, "new"}, {"three", 33, "k"}, {"five", 5, "k"}}));
    CHECK(text_of(next) == "-one !three =two +five ");
    CHECK(next.unchanged == 1);
    carry_out(ledger, std::move(next));
    CHECK(ledger.size() == 4);
    CHECK(text_of(compare(ledger,
                          file("a", {{"five", 5, "k"}, {"four", 4, "k"}, {"two", 2, "new"}, {"three", 33, "k"}})))
              .empty());
}

TEST_CASE("registry ledger: each field of a connection counts") {
    auto const parsed = [](std::string const& rest) {
        auto r = parse_connections(R"([{"id":"x",)" + rest + "}]", system_secrets());
        REQUIRE(r.has_value());
        REQUIRE(r->problems.empty());
        return read_file_of_connections{"a", std::move(r)};
    };
    auto const oauth = [&](std::string const& site, std::string const& client, std::string const& key,
                           std::string const& options) {
        return parsed(R"("cloud_id":")" + site + R"(","client_id":")" + client + R"(","clientSecret":")" + key +
                      R"(","options":)" + options);
    };
    registry_ledger ledger;
    carry_out(ledger, compare(ledger, oauth(cloud(1), "c", "k", R"({"weight":2})")));
    CHECK(text_of(compare(ledger, oauth(cloud(1), "c", "k", R"({"weight":2})"))).empty());
    CHECK(text_of(compare(ledger, oauth(cloud(1), "d", "k", R"({"weight":2})"))) == "=x ");
    CHECK(text_of(compare(ledger, oauth(cloud(1), "c", "l", R"({"weight":2})"))) == "=x ");
    CHECK(text_of(compare(ledger, oauth(cloud(1), "c", "k", R"({"weight":3})"))) == "=x ");
    CHECK(text_of(compare(ledger, oauth(cloud(1), "c", "k", R"({"weight":2,"timeout_ms":7})"))) == "=x ");
    CHECK(text_of(compare(ledger, oauth(cloud(1), "c", "k", R"({"weight":2,"expires_at":"2030-01-01"})"))) == "=x ");
    CHECK(text_of(compare(ledger, oauth(cloud(2), "c", "k", R"({"weight":2})"))) == "!x ");
    CHECK(text_of(compare(ledger, parsed(R"("cloud_id":")" + cloud(1) + R"(","apiKey":"k")"))) == "!x ");
    CHECK(text_of(compare(ledger, parsed(R"("site_url":"https://a.atlassian.net","email":"a@b","apiKey":"k")"))) ==
          "!x ");
}

TEST_CASE("registry ledger: a file that cannot be used changes nothing of what it said") {
    registry_ledger ledger;
    carry_out(ledger, compare(ledger, file("a", {{"one", 1, "k"}, {"two", 2, "k"}}), file("b", {{"three", 3, "k"}})));

    auto plan = compare(ledger, broken("a"), file("b", {{"four", 4, "k"}}));
    CHECK(text_of(plan) == "-three +four ");
    CHECK(plan.kept == 2);
    REQUIRE(plan.problems.size() == 1);
    CHECK(plan.problems[0].file == "a");
    CHECK(plan.problems[0].why.describe().find("line 1, column 8") != std::string::npos);
    // Empty is not broken.
    CHECK(text_of(compare(ledger, file("a", {}), file("b", {{"three", 3, "k"}}))) == "-one -two ");
    // A file that was taken away took its connections along.
    CHECK(text_of(compare(ledger, file("b", {{"three", 3, "k"}}))) == "-one -two ");
}

TEST_CASE("registry ledger: a connection with a fault stays as it was, and the others of its file change") {
    registry_ledger ledger;
    carry_out(ledger, compare(ledger, file("a", {{"one", 1, "k"}, {"two", 2, "k"}, {"three", 3, "k"}})));

    auto plan = compare(ledger, file("a", {{"one", 1, ""}, {"two", 2, "new"}}));
    CHECK(text_of(plan) == "-three =two ");
    CHECK(plan.kept == 1);
    REQUIRE(plan.problems.size() == 1);
    CHECK(plan.problems[0].why.connection() == "one");

    // Whose id cannot be read may be any of them.
    plan = compare(ledger, file("a", {{"o n e", 1, "k"}, {"two", 2, "new"}}));
    CHECK(text_of(plan) == "=two ");
    CHECK(plan.kept == 2);
}

TEST_CASE("registry ledger: an id in two files belongs to the first, and may change its file") {
    registry_ledger ledger;
    auto plan = compare(ledger, file("a", {{"one", 1, "k"}}), file("b", {{"one", 2, "k"}, {"two", 2, "k"}}));
    CHECK(text_of(plan) == "+one +two ");
    REQUIRE(plan.problems.size() == 1);
    CHECK(plan.problems[0].file == "b");
    CHECK(plan.problems[0].why.code() == errc::duplicate_id);
    CHECK(plan.problems[0].why.connection() == "one");
    carry_out(ledger, std::move(plan));

    CHECK(text_of(compare(ledger, file("a", {}), file("b", {{"one", 1, "k"}, {"two", 2, "k"}}))).empty());
    // It is b's now: a has no more to say of it.
    CHECK(text_of(compare(ledger, broken("a"), file("b", {{"two", 2, "k"}}))) == "-one ");
    // One that stands twice in a file is there once.
    plan = compare(ledger, file("b", {{"one", 1, "k"}, {"one", 1, "k"}, {"two", 2, "k"}}));
    CHECK(text_of(plan).empty());
    CHECK(plan.unchanged == 2);
    CHECK(plan.problems.size() == 1);
}

TEST_CASE("registry ledger: whatever files say one after the other, the registry is what the last usable word was") {
    std::mt19937 random(20261130);
    auto const below = [&](unsigned n) { return std::uniform_int_distribution<unsigned>(0, n - 1)(random); };
    registry_ledger ledger;
    std::map<std::string, std::pair<int, std::string>> registry;                      // as carried out
    std::map<std::string, std::map<std::string, std::pair<int, std::string>>> words;  // by file
    for (int round = 0; round < 400; ++round) {
        std::vector<read_file_of_connections> files;
        std::map<std::string, bool> usable;
        for (std::string const name : {"a", "b"}) {
            // Ids of their own, so that each has one file's word.
            std::vector<line> lines;
            std::map<std::string, std::pair<int, std::string>> now;
            for (unsigned i = 0; i < 8; ++i) {
                if (below(3) == 0) continue;
                line l{name + std::to_string(i), static_cast<int>(below(2)), "k" + std::to_string(below(3))};
                now[l.id] = {l.site, l.key};
                if (below(12) == 0) {
                    // With a fault: what was known of it stays.
                    l.key.clear();
                    now.erase(l.id);
                    if (auto const old = words[name].find(l.id); old != words[name].end()) now[l.id] = old->second;
                }
                lines.push_back(std::move(l));
            }
            usable[name] = below(5) != 0;
            files.push_back(usable[name] ? file(name, lines) : broken(name));
            if (usable[name]) words[name] = std::move(now);
        }
        auto plan = ledger.compare(std::move(files));
        for (auto const& s : plan.steps) {
            INFO("round " << round << ": " << s.id);
            auto const known = registry.find(s.id);
            REQUIRE((s.what == kind::add) == (known == registry.end()));
            if (s.what == kind::remove) {
                registry.erase(known);
                continue;
            }
            auto const site = s.config->cloud()->str() == cloud(1) ? 1 : 0;
            if (known != registry.end()) REQUIRE((s.what == kind::move) == (known->second.first != site));
            registry[s.id] = {site, std::string(s.config->key().reveal())};
        }
        auto expected = words["a"];
        expected.insert(words["b"].begin(), words["b"].end());
        REQUIRE(registry == expected);
        REQUIRE(plan.unchanged + plan.kept + plan.steps.size() >= registry.size());
        carry_out(ledger, std::move(plan));
    }
}
