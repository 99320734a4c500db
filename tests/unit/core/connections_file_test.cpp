#include <jirapool/core/connections_file.hpp>

#include "support/canary.hpp"
#include "support/catch.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

std::string const canary = "canary-key-that-nobody-may-see";
std::string const site = R"("site_url":"https://acme.atlassian.net")";
std::string const email = R"("email":"ann@acme.example")";
std::string const cloud = R"("cloud_id":"11223344-aabb-4cdd-8eff-001122334455")";
std::string const client = R"("client_id":"client-1")";
std::string const api_key = R"("apiKey":")" + canary + "\"";
std::string const client_secret = R"("clientSecret":")" + canary + "\"";

std::string object(std::vector<std::string> const& members) {
    std::string text;
    for (auto const& m : members) text += (text.empty() ? "{" : ",") + m;
    return text + "}";
}

std::string id(std::string const& value) { return R"("id":")" + value + "\""; }

std::string const good = object({id("good"), cloud, api_key});

class scripted_secrets final : public secret_source {
public:
    result<secret> from_env(std::string const& name) const override {
        if (name == "KEY") return secret(canary);
        return failure(errc::unreadable_file, "is not set");
    }
    result<secret> from_file(std::string const& path) const override {
        if (path == "/run/key") return secret(canary + "-from-file");
        return failure(errc::file_too_large, "is too large");
    }
};

result<connections_report> parse(std::string_view json) { return parse_connections(json, scripted_secrets()); }

class temporary_directory {
public:
    temporary_directory() {
        auto pattern = (std::filesystem::temp_directory_path() / "jirapool-test-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    temporary_directory(temporary_directory const&) = delete;
    temporary_directory& operator=(temporary_directory const&) = delete;
    ~temporary_directory() { std::filesystem::remove_all(path_); }

    std::string operator/(std::string const& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

void write_file(std::string const& path, std::string_view text) {
    std::ofstream out(path, std::ios::binary);
    out << text;
    REQUIRE(out.good());
}

void check_refused(result<connections_report> const& r, errc code) {
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == code);
    CHECK_FALSE(r.error().rule().empty());
    CHECK_FALSE(test::shows(r.error().describe(), canary));
}

// The only problem of a file with a good connection and this one behind it.
failure problem_of(std::string const& bad) {
    auto r = parse("[" + good + "," + bad + "]");
    REQUIRE(r.has_value());
    REQUIRE(r->total == 2);
    REQUIRE(r->connections.size() == 1);
    REQUIRE(r->connections[0].id() == "good");
    REQUIRE(r->problems.size() == 1);
    return std::move(r->problems[0]);
}

struct bad_connection {
    std::string json;
    errc code;
    std::string field;
    std::string connection = "acme";
};

void check_table(std::vector<bad_connection> const& table) {
    for (auto const& bad : table) {
        CAPTURE(bad.json);
        auto const f = problem_of(bad.json);
        CHECK(f.code() == bad.code);
        CHECK(f.field() == bad.field);
        CHECK(f.connection() == bad.connection);
        CHECK_FALSE(f.rule().empty());
        CHECK_FALSE(test::shows(f.describe(), canary));
    }
}

}  // namespace

TEST_CASE("connections_file: each of the three kinds is told by its fields") {
    auto const options = R"("options":{"timeout_ms":5000,"weight":7})"s;
    auto const r = parse(R"({"connections":[)" + object({id("a"), site, email, api_key}) + "," +
                         object({id("b"), cloud, api_key}) + "," +
                         object({client_secret, client, cloud, id("c"), options}) + "]}");
    REQUIRE(r.has_value());
    CHECK(r->total == 3);
    CHECK(r->problems.empty());
    REQUIRE(r->connections.size() == 3);
    CHECK(r->connections[0].kind() == connection_kind::personal_api_token);
    CHECK(r->connections[1].kind() == connection_kind::service_api_token);
    CHECK(r->connections[2].kind() == connection_kind::service_oauth);
    CHECK(r->connections[2].principal() == "client-1");
    CHECK(r->connections[2].options().timeout == 5s);
    CHECK(r->connections[2].options().weight == 7);
    for (auto const& c : r->connections) CHECK(c.key() == secret(canary));
}

TEST_CASE("connections_file: the array alone, a byte order mark and no connection at all are fine") {
    CHECK(parse("[" + good + "]")->connections.size() == 1);
    CHECK(parse("\xef\xbb\xbf[" + good + "]\n")->connections.size() == 1);
    CHECK(parse("[]")->total == 0);
    CHECK(parse(R"({"connections":[]})")->total == 0);
}

TEST_CASE("connections_file: escapes in names and values mean what JSON says") {
    auto const r = parse("[" + object({R"("\u0069d":"acme\u002d1")", cloud, api_key}) + "]");
    REQUIRE(r.has_value());
    REQUIRE(r->connections.size() == 1);
    CHECK(r->connections[0].id() == "acme-1");
}

TEST_CASE("connections_file: secrets come from the environment and from files as well") {
    auto const r = parse("[" + object({id("a"), cloud, R"("apiKey":{"env":"KEY"})"}) + "," +
                         object({id("b"), cloud, client, R"("clientSecret":{"file":"/run/key"})"}) + "]");
    REQUIRE(r.has_value());
    REQUIRE(r->connections.size() == 2);
    CHECK(r->connections[0].key() == secret(canary));
    CHECK(r->connections[1].key() == secret(canary + "-from-file"));
}

TEST_CASE("connections_file: a secret that cannot be had is a problem of its field") {
    check_table({
        {object({id("acme"), cloud, R"("apiKey":{"env":"ABSENT"})"}), errc::unreadable_file, "apiKey"},
        {object({id("acme"), cloud, client, R"("clientSecret":{"file":"/x"})"}), errc::file_too_large, "clientSecret"},
        {object({id("acme"), cloud, R"("apiKey":{"env":""})"}), errc::empty_field, "apiKey"},
        {object({id("acme"), cloud, R"("apiKey":{"file":"a\u0000b"})"}), errc::invalid_field, "apiKey"},
        {object({id("acme"), cloud, R"("apiKey":{})"}), errc::invalid_field, "apiKey"},
        {object({id("acme"), cloud, R"("apiKey":{"env":"KEY","file":"/run/key"})"}), errc::invalid_field, "apiKey"},
        {object({id("acme"), cloud, R"("apiKey":{"env":"KEY","env":"KEY"})"}), errc::invalid_field, "apiKey"},
        {object({id("acme"), cloud, R"("apiKey":{"ENV":"KEY"})"}), errc::invalid_field, "apiKey"},
        {object({id("acme"), cloud, R"("apiKey":{"value":")" + canary + "\"}"}), errc::invalid_field, "apiKey"},
        {object({id("acme"), cloud, R"("apiKey":{"env":7})"}), errc::invalid_field, "apiKey"},
        {object({id("acme"), cloud, R"("apiKey":[")" + canary + "\"]"}), errc::invalid_field, "apiKey"},
    });
}

TEST_CASE("connections_file: a missing field is named with what its kind needs") {
    check_table({
        {object({id("acme"), site, email}), errc::missing_field, "apiKey"},
        {object({id("acme"), site, api_key}), errc::missing_field, "email"},
        {object({id("acme"), email, api_key}), errc::missing_field, "site_url"},
        {object({id("acme"), email}), errc::missing_field, "site_url"},
        {object({id("acme"), cloud}), errc::missing_field, "apiKey"},
        {object({id("acme"), api_key}), errc::missing_field, "site_url"},
        {object({id("acme"), cloud, client}), errc::missing_field, "clientSecret"},
        {object({id("acme"), cloud, client_secret}), errc::missing_field, "client_id"},
        {object({id("acme"), client, client_secret}), errc::missing_field, "cloud_id"},
        {object({id("acme")}), errc::missing_field, "apiKey"},
        {object({cloud, api_key}), errc::missing_field, "id", "#2"},
        {"{}", errc::missing_field, "id", "#2"},
    });
    CHECK(problem_of(object({id("acme"), site, email})).rule() ==
          "is missing: a personal API token needs site_url, email and apiKey");
}

TEST_CASE("connections_file: fields of two kinds are refused, and the rule says which kinds") {
    check_table({
        {object({id("acme"), cloud, api_key, client_secret}), errc::mixed_kinds, "apiKey"},
        {object({id("acme"), api_key, client_secret}), errc::mixed_kinds, "apiKey"},
        {object({id("acme"), cloud, client, client_secret, api_key}), errc::mixed_kinds, "apiKey"},
        {object({id("acme"), site, email, api_key, cloud}), errc::mixed_kinds, "cloud_id"},
        {object({id("acme"), site, cloud}), errc::mixed_kinds, "cloud_id"},
        {object({id("acme"), site, email, client_secret}), errc::mixed_kinds, "clientSecret"},
        {object({id("acme"), email, client, cloud}), errc::mixed_kinds, "client_id"},
        {object({id("acme"), site, email, api_key, cloud, client, client_secret}), errc::mixed_kinds, "clientSecret"},
    });
    auto const says = [](std::string const& json, std::string_view words) {
        return problem_of(json).rule().find(words) != std::string::npos;
    };
    CHECK(says(object({id("acme"), cloud, api_key, client_secret}), "API token"));
    CHECK(says(object({id("acme"), cloud, api_key, client_secret}), "OAuth client"));
    CHECK(says(object({id("acme"), site, email, api_key, cloud}), "personal API token"));
    CHECK(says(object({id("acme"), site, email, api_key, cloud}), "service account"));
}

TEST_CASE("connections_file: an unknown field is refused") {
    check_table({
        {object({id("acme"), cloud, api_key, R"("siteUrl":"x")"}), errc::unknown_field, "siteUrl"},
        {object({id("acme"), cloud, R"("api_key":")" + canary + "\""}), errc::unknown_field, "api_key"},
        {object({id("acme"), cloud, api_key, R"("ID":"x")"}), errc::unknown_field, "ID"},
        {object({id("acme"), cloud, api_key, R"("options":{"timeout":5})"}), errc::unknown_field, "options.timeout"},
        {object({id("acme"), cloud, api_key, R"("":1)"}), errc::unknown_field, "(a name of 0 bytes)"},
        {object({cloud, api_key, R"("name":"x")"}), errc::unknown_field, "name", "#2"},
    });
}

TEST_CASE("connections_file: an unknown name that may be a secret or break a log is not repeated") {
    check_table({
        {object({id("acme"), cloud, "\"" + canary + "\":1"}), errc::unknown_field, "(a name of 30 bytes)"},
        {object({id("acme"), cloud, R"("k3yW1thD1g1ts":1)"}), errc::unknown_field, "(a name of 13 bytes)"},
        {object({id("acme"), cloud, R"("a\nb":1)"}), errc::unknown_field, "(a name of 3 bytes)"},
        {object({id("acme"), cloud, R"("a\u0000":1)"}), errc::unknown_field, "(a name of 2 bytes)"},
    });
}

TEST_CASE("connections_file: a field that stands twice is refused") {
    check_table({
        {object({id("acme"), cloud, api_key, api_key}), errc::duplicate_field, "apiKey"},
        {object({id("acme"), cloud, cloud, api_key}), errc::duplicate_field, "cloud_id"},
        {object({id("acme"), cloud, api_key, R"("api\u004bey":"x")"}), errc::duplicate_field, "apiKey"},
        {object({id("acme"), id("acme"), cloud, api_key}), errc::duplicate_field, "id", "#2"},
        {object({id("acme"), cloud, api_key, R"("options":{},"options":{})"}), errc::duplicate_field, "options"},
        {object({id("acme"), cloud, api_key, R"("options":{"weight":1,"weight":1})"}), errc::duplicate_field,
         "options.weight"},
    });
}

TEST_CASE("connections_file: an empty field is refused") {
    check_table({
        {object({id(""), cloud, api_key}), errc::empty_field, "id", "#2"},
        {object({id("acme"), R"("site_url":"")", email, api_key}), errc::empty_field, "site_url"},
        {object({id("acme"), site, R"("email":"")", api_key}), errc::empty_field, "email"},
        {object({id("acme"), site, email, R"("apiKey":"")"}), errc::empty_field, "apiKey"},
        {object({id("acme"), R"("cloud_id":"")", api_key}), errc::empty_field, "cloud_id"},
        {object({id("acme"), cloud, R"("client_id":"")", client_secret}), errc::empty_field, "client_id"},
        {object({id("acme"), cloud, client, R"("clientSecret":"")"}), errc::empty_field, "clientSecret"},
    });
}

TEST_CASE("connections_file: a value of the wrong type is refused") {
    for (std::string const& value : {"7"s, "7.5"s, "true"s, "null"s, "[]"s, "{}"s}) {
        check_table({
            {object({R"("id":)" + value, cloud, api_key}), errc::invalid_field, "id", "#2"},
            {object({id("acme"), R"("site_url":)" + value, email, api_key}), errc::invalid_field, "site_url"},
            {object({id("acme"), site, R"("email":)" + value, api_key}), errc::invalid_field, "email"},
            {object({id("acme"), R"("cloud_id":)" + value, api_key}), errc::invalid_field, "cloud_id"},
            {object({id("acme"), cloud, R"("apiKey":)" + value}), errc::invalid_field, "apiKey"},
            {object({id("acme"), cloud, R"("client_id":)" + value, client_secret}), errc::invalid_field, "client_id"},
            {object({id("acme"), cloud, client, R"("clientSecret":)" + value}), errc::invalid_field, "clientSecret"},
        });
    }
    check_table({
        {"7", errc::invalid_field, "", "#2"},
        {"null", errc::invalid_field, "", "#2"},
        {"\"" + canary + "\"", errc::invalid_field, "", "#2"},
        {"[]", errc::invalid_field, "", "#2"},
    });
}

TEST_CASE("connections_file: a value that breaks its rule is refused and not repeated") {
    check_table({
        {object({id("a b"), cloud, api_key}), errc::invalid_field, "id", "#2"},
        {object({id(R"(a\u0000b)"), cloud, api_key}), errc::invalid_field, "id", "#2"},
        {object({id("acme"), R"("site_url":"http://acme.atlassian.net")", email, api_key}), errc::invalid_field,
         "site_url"},
        {object({id("acme"), R"("site_url":"https://acme.atlassian.net\u0000")", email, api_key}), errc::invalid_field,
         "site_url"},
        {object({id("acme"), site, R"("email":"ann")", api_key}), errc::invalid_field, "email"},
        {object({id("acme"), R"("cloud_id":")" + canary + "\"", api_key}), errc::invalid_field, "cloud_id"},
        {object({id("acme"), cloud, R"("apiKey":")" + canary + R"(\r\n")"}), errc::invalid_field, "apiKey"},
        {object({id("acme"), cloud, R"("apiKey":" )" + canary + "\""}), errc::invalid_field, "apiKey"},
        {object({id("acme"), cloud, client, R"("clientSecret":")" + canary + R"(\u0000")"}), errc::invalid_field,
         "clientSecret"},
    });
}

TEST_CASE("connections_file: options out of range or of another type are refused") {
    for (std::string const& value : {"0"s, "-1"s, "600001"s, "4294967297"s, "18446744073709551615"s, "1.0"s, "1e3"s,
                                     "\"5\""s, "null"s, "true"s, "[]"s}) {
        check_table({{object({id("acme"), cloud, api_key, R"("options":{"timeout_ms":)" + value + "}"}),
                      errc::invalid_field, "options.timeout_ms"}});
    }
    for (std::string const& value : {"0"s, "-1"s, "101"s, "4294967297"s, "1.0"s, "\"5\""s, "null"s}) {
        check_table({{object({id("acme"), cloud, api_key, R"("options":{"weight":)" + value + "}"}),
                      errc::invalid_field, "options.weight"}});
    }
    for (std::string const& value : {"7"s, "null"s, "[]"s, "\"x\""s}) {
        check_table({{object({id("acme"), cloud, api_key, R"("options":)" + value}), errc::invalid_field, "options"}});
    }
    auto const largest = R"("options":{"timeout_ms":600000,"weight":100})"s;
    auto const r = parse("[" + object({id("acme"), cloud, api_key, largest}) + "]");
    REQUIRE(r.has_value());
    CHECK(r->connections.size() == 1);
}

TEST_CASE("connections_file: the second connection of an id is the bad one") {
    auto const first = object({id("acme"), cloud, api_key});
    auto const broken = object({id("acme"), cloud});
    check_table({{object({id("good"), site, email, api_key}), errc::duplicate_id, "id", "good"}});

    auto const r = parse("[" + first + "," + broken + "," + first + "]");
    REQUIRE(r.has_value());
    CHECK(r->connections.size() == 1);
    REQUIRE(r->problems.size() == 2);
    CHECK(r->problems[0].code() == errc::duplicate_id);
    CHECK(r->problems[1].code() == errc::duplicate_id);

    auto const claimed = parse("[" + broken + "," + first + "]");
    REQUIRE(claimed.has_value());
    CHECK(claimed->connections.empty());
    REQUIRE(claimed->problems.size() == 2);
    CHECK(claimed->problems[0].code() == errc::missing_field);
    CHECK(claimed->problems[1].code() == errc::duplicate_id);
}

TEST_CASE("connections_file: bad connections do not stop the good ones, and order is kept") {
    std::string text = "[";
    for (int i = 0; i < 1000; ++i) {
        text += (i == 0 ? "" : ",") + object({id("c" + std::to_string(i)), cloud, i % 3 == 0 ? client : api_key});
    }
    auto const r = parse(text + "]");
    REQUIRE(r.has_value());
    CHECK(r->total == 1000);
    CHECK(r->connections.size() == 666);
    CHECK(r->problems.size() == 334);
    CHECK(r->connections[0].id() == "c1");
    CHECK(r->connections[665].id() == "c998");
    CHECK(r->problems[1].connection() == "c3");
}

TEST_CASE("connections_file: problems past the limit are only counted") {
    std::string text = "[0";
    for (std::size_t i = 0; i < max_reported_problems + 10; ++i) text += ",0";
    auto const r = parse(text + "]");
    REQUIRE(r.has_value());
    CHECK(r->total == max_reported_problems + 11);
    CHECK(r->problems.size() == max_reported_problems);
}

TEST_CASE("connections_file: text that is no JSON document of the shape is refused as a whole") {
    for (std::string const& text : {" "s,
                                    "\xef\xbb\xbf"s,
                                    "{"s,
                                    "[" + good,
                                    "[" + good + ",]",
                                    "[" + good + "]]",
                                    "[" + good + "] trailing",
                                    "[" + good + "][]",
                                    "[" + good + "]" + std::string(1, '\0'),
                                    "{}"s,
                                    "7"s,
                                    "null"s,
                                    "\"" + canary + "\"",
                                    good,
                                    R"({"connections":{}})"s,
                                    R"({"connections":null})"s,
                                    R"({"Connections":[]})"s,
                                    R"({"connections":[],"connections":[]})"s,
                                    R"({"connections":[],"version":1})"s,
                                    "['a']"s,
                                    "[NaN]"s,
                                    "[\"" + canary + "\n\"]",
                                    "[\"" + canary + std::string(1, '\0') + "\"]",
                                    "// comment\n[]"s,
                                    R"(["\ud800"])"s,
                                    "[\"" + canary + R"(\x"])",
                                    "[01]"s,
                                    std::string(1, '\0')}) {
        CAPTURE(text);
        check_refused(parse(text), errc::not_json);
    }
}

TEST_CASE("connections_file: deep nesting is refused") {
    check_refused(parse(std::string(2'000, '[') + std::string(2'000, ']')), errc::not_json);
    check_refused(parse(std::string(1'000'000, '[')), errc::not_json);
    check_refused(parse("[" + std::string(1'000'000, '{')), errc::not_json);
}

TEST_CASE("connections_file: text that is not UTF-8 is refused") {
    check_refused(parse("[{\"id\":\"\xff\"," + api_key + "}]"), errc::not_utf8);
    check_refused(parse("\xff\xfe[\0]\0"sv), errc::not_utf8);
    check_refused(parse("[\"\xc3\"]"), errc::not_utf8);
    check_refused(parse("[\"\xed\xa0\x80\"]"), errc::not_utf8);
}

TEST_CASE("connections_file: no bytes and too many bytes are refused") {
    check_refused(parse(""), errc::empty_file);
    check_refused(parse(std::string_view()), errc::empty_file);
    check_refused(parse(std::string(max_connections_file_size + 1, ' ')), errc::file_too_large);
}

TEST_CASE("load_connections: a file is read and parsed") {
    temporary_directory const directory;
    write_file(directory / "key", canary + "\n");
    write_file(directory / "c.json",
               "[" + object({id("acme"), cloud, R"("apiKey":{"file":")" + (directory / "key") + "\"}"}) + "]");
    auto const r = load_connections(directory / "c.json");
    REQUIRE(r.has_value());
    REQUIRE(r->connections.size() == 1);
    CHECK(r->connections[0].key() == secret(canary));
}

TEST_CASE("load_connections: what cannot be read is refused") {
    temporary_directory const directory;
    check_refused(load_connections(directory / "absent.json"), errc::unreadable_file);
    check_refused(load_connections(directory / ""), errc::unreadable_file);
    check_refused(load_connections(""), errc::unreadable_file);
    write_file(directory / "c.json", "[]");
    check_refused(load_connections((directory / "c.json") + std::string("\0x", 2)), errc::unreadable_file);
    check_refused(load_connections((directory / "c.json") + "/x"), errc::unreadable_file);
}

TEST_CASE("load_connections: an empty file is told from one that is no JSON") {
    temporary_directory const directory;
    write_file(directory / "c.json", "");
    check_refused(load_connections(directory / "c.json"), errc::empty_file);
    check_refused(load_connections("/dev/null"), errc::empty_file);
}

TEST_CASE("load_connections: a file of 100 MB is refused by its size") {
    temporary_directory const directory;
    write_file(directory / "c.json", "");
    std::filesystem::resize_file(directory / "c.json", 100'000'000);
    check_refused(load_connections(directory / "c.json"), errc::file_too_large);
}

TEST_CASE("load_connections: a device without an end is read up to the limit") {
    check_refused(load_connections("/dev/zero"), errc::file_too_large);
}

TEST_CASE("load_connections: a pipe is read to its end, or to the limit") {
    temporary_directory const directory;
    auto const path = directory / "pipe";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);

    auto const load = [&](std::string const& text) {
        std::thread writer([&] { std::ofstream(path, std::ios::binary) << text; });
        auto r = load_connections(path, scripted_secrets());
        writer.join();
        return r;
    };
    auto const r = load("[" + std::string(300'000, ' ') + good + "]");
    REQUIRE(r.has_value());
    CHECK(r->connections.size() == 1);
    check_refused(load(std::string(max_connections_file_size + 1, ' ')), errc::file_too_large);
    check_refused(load(""), errc::empty_file);
}

TEST_CASE("system_secrets: a variable's value is the secret") {
    ::setenv("JIRAPOOL_TEST_SECRET", canary.c_str(), 1);
    CHECK(system_secrets().from_env("JIRAPOOL_TEST_SECRET").value() == secret(canary));
    ::setenv("JIRAPOOL_TEST_SECRET", "", 1);
    CHECK(system_secrets().from_env("JIRAPOOL_TEST_SECRET").error().code() == errc::empty_field);
    ::unsetenv("JIRAPOOL_TEST_SECRET");
    CHECK(system_secrets().from_env("JIRAPOOL_TEST_SECRET").error().code() == errc::unreadable_file);
}

TEST_CASE("system_secrets: a file's secret ends before one newline") {
    temporary_directory const directory;
    auto const read = [&](std::string const& text) {
        write_file(directory / "key", text);
        return system_secrets().from_file(directory / "key");
    };
    CHECK(read(canary).value() == secret(canary));
    CHECK(read(canary + "\n").value() == secret(canary));
    CHECK(read(canary + "\r\n").value() == secret(canary));
    CHECK(read(canary + "\n\n").value() == secret(canary + "\n"));
    CHECK(read(std::string(8192, 'k') + "\r\n").value().size() == 8192);
    CHECK(read("").error().code() == errc::empty_field);
    CHECK(read("\n").error().code() == errc::empty_field);
    CHECK(read(std::string(8195, 'k')).error().code() == errc::file_too_large);
    CHECK(system_secrets().from_file(directory / "absent").error().code() == errc::unreadable_file);
    CHECK(system_secrets().from_file(directory / "").error().code() == errc::unreadable_file);
    CHECK(system_secrets().from_file("/dev/zero").error().code() == errc::file_too_large);
}

namespace {

// A secret that is known by a rule instead of by a copy, so that each whole copy in memory is one that was left behind.
// Longer than any register or stack buffer through which simdjson passes pieces of its input.
class patterned_secret {
public:
    static constexpr std::size_t size = 160;

    static std::string beginning() { return {at(0), at(1), at(2), at(3)}; }
    static bool begins(std::string_view text) noexcept {
        if (text.size() < size) return false;
        for (std::size_t i = 0; i < size; ++i) {
            if (text[i] != at(i)) return false;
        }
        return true;
    }
    static void append_to(std::string& text) {
        for (std::size_t i = 0; i < size; ++i) text.push_back(at(i));
    }

private:
    static char at(std::size_t i) noexcept { return static_cast<char>('a' + (i * i * 7 + i * 13 + 5) % 23); }
};

struct memory_region {
    std::uintptr_t begin;
    std::uintptr_t end;
};

std::vector<memory_region> writable_regions() {
    // Larger ones are a sanitizer's shadow.
    constexpr std::uintptr_t largest = std::uintptr_t{1} << 30;
    std::vector<memory_region> regions;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        memory_region r{};
        char dash = 0;
        std::string access;
        std::istringstream(line) >> std::hex >> r.begin >> dash >> r.end >> access;
        if (access.starts_with("rw") && r.end - r.begin <= largest) regions.push_back(r);
    }
    return regions;
}

// Reads its own process through the kernel: freed memory may be looked at without the sanitizer's veto.
std::size_t copies_in_memory() {
    constexpr std::size_t window = 1 << 20;
    static std::vector<char> buffer(window);
    auto const beginning = patterned_secret::beginning();
    auto const own_begin = reinterpret_cast<std::uintptr_t>(buffer.data());
    int const memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    REQUIRE(memory >= 0);

    std::size_t copies = 0;
    for (auto const& region : writable_regions()) {
        for (auto from = region.begin; from < region.end; from += window - patterned_secret::size + 1) {
            auto const want = std::min<std::size_t>(window, region.end - from);
            auto const got = ::pread(memory, buffer.data(), want, static_cast<off_t>(from));
            std::string_view const text(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
            for (auto i = text.find(beginning); i != text.npos; i = text.find(beginning, i + 1)) {
                bool const in_buffer = from + i + patterned_secret::size > own_begin && from + i < own_begin + window;
                if (!in_buffer && patterned_secret::begins(text.substr(i))) ++copies;
            }
        }
    }
    ::close(memory);
    std::fill(buffer.begin(), buffer.end(), '\0');
    return copies;
}

// `{…"apiKey":"<the secret>"` and `end`, in a string that is never copied or grown.
std::string text_with_secret(std::string_view end) {
    std::string text;
    text.reserve(8192 + end.size());
    text += R"([{"id":"acme","cloud_id":"11223344-aabb-4cdd-8eff-001122334455","apiKey":")";
    patterned_secret::append_to(text);
    text += "\"";
    text += end;
    return text;
}

}  // namespace

TEST_CASE("connections_file: parsing leaves no copy of a secret in memory") {
    REQUIRE(copies_in_memory() == 0);
    SECTION("the search itself finds a copy") {
        auto text = text_with_secret("");
        CHECK(copies_in_memory() == 1);
        wipe(text);
        CHECK(copies_in_memory() == 0);
    }
    SECTION("of a good connection, once the report is gone") {
        auto text = text_with_secret("}]");
        {
            auto const r = parse(text);
            wipe(text);
            REQUIRE(r.has_value());
            REQUIRE(r->connections.size() == 1);
            CHECK(copies_in_memory() == 1);
        }
        CHECK(copies_in_memory() == 0);
    }
    SECTION("of a bad connection, while the report is still there") {
        auto text = text_with_secret(R"(,"clientSecret":"x"}])");
        auto const r = parse(text);
        wipe(text);
        REQUIRE(r.has_value());
        REQUIRE(r->problems.size() == 1);
        CHECK(copies_in_memory() == 0);
    }
    SECTION("of a text that turns out to be no JSON behind the secret") {
        auto text = text_with_secret("}");
        auto const r = parse(text);
        wipe(text);
        CHECK_FALSE(r.has_value());
        CHECK(copies_in_memory() == 0);
    }
    SECTION("of a pipe, whose buffer grows while it is read") {
        auto text = text_with_secret("}]" + std::string(40'000, ' '));
        int ends[2] = {};
        REQUIRE(::pipe(ends) == 0);
        REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        ::close(ends[1]);
        wipe(text);
        {
            auto const r = load_connections("/dev/fd/" + std::to_string(ends[0]));
            REQUIRE(r.has_value());
            CHECK(r->connections.size() == 1);
        }
        ::close(ends[0]);
        CHECK(copies_in_memory() == 0);
    }
}
