// The client's HTTP/2 with servers that are not ours, nginx, nghttpd, h2o and Node's, each as its makers have it: hidden from ctest,
// tests/figures.sh http2 runs it in a Release build.
#include "gateway.hpp"
#include "support/figure.hpp"
#include "support/foreign_server.hpp"

#include <jirapool/pool/client.hpp>
#include <jirapool/pool/spans.hpp>

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using support::figure;
using support::foreign_server;
using support::free_port;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t mega = 1'000'000;
constexpr std::size_t transferred = 100 * mega;

class digest {
public:
    digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
    void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
    /// Once.
    std::string hex() {
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), bytes, &size);
        std::string text;
        for (unsigned i = 0; i < size; ++i) {
            char two[3];
            std::snprintf(two, sizeof two, "%02x", bytes[i]);
            text += two;
        }
        return text;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// Bytes, and what they are known by.
struct document {
    explicit document(std::string b) : bytes(std::move(b)) {
        digest d;
        d.add(bytes);
        sha256 = d.hex();
    }
    std::string bytes;
    std::string sha256;
};

std::string json_of(std::size_t size) {
    std::string text = "[";
    while (text.size() + 100 < size)
        text += R"({"id":")" + std::to_string(text.size()) + R"(","fields":{"summary":"words"}},)";
    return text + R"("end"])";
}

/// What is served and sent, as files too, and what servers need beside it. It goes with this.
class world {
public:
    world()
        : small(json_of(1'000)),
          json(json_of(mega)),
          noise(wire_test::noise(mega)),
          huge(wire_test::noise(transferred)) {
        char folder[] = "/tmp/jirapool-foreign-XXXXXX";
        if (::mkdtemp(folder) == nullptr) throw std::runtime_error("no scratch folder");
        root = folder;
        auto const place = root / "htdocs/ex/jira/11111111-2222-3333-4444-555555555555/rest/api/3/attachment/content";
        fs::create_directories(place);
        std::ofstream(place / "small.json") << small.bytes;
        std::ofstream(place / "large.json") << json.bytes;
        std::ofstream(place / "large.bin") << noise.bytes;
        std::ofstream(place / "huge.bin") << huge.bytes;
        std::ofstream(certificate()) << gateway_identity().pem();
        std::unique_ptr<std::FILE, decltype(&std::fclose)> const file(std::fopen(key().c_str(), "w"), std::fclose);
        PEM_write_PrivateKey(file.get(), gateway_identity().key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    }
    ~world() {
        std::error_code ignored;
        fs::remove_all(root, ignored);
    }
    world(world const&) = delete;
    world& operator=(world const&) = delete;

    std::string documents() const { return root / "htdocs"; }
    std::string certificate() const { return root / "leaf.pem"; }
    std::string key() const { return root / "key.pem"; }

    document const small;
    document const json;
    document const noise;
    document const huge;
    fs::path root;
};

/// Takes the bytes' digest, and counts them.
class digesting_sink final : public body_sink {
public:
    asio::awaitable<error_code> write(std::string_view piece) override {
        digest_.add(piece);
        size_ += piece.size();
        co_return error_code();
    }
    asio::awaitable<error_code> end() override {
        sha256_ = digest_.hex();
        co_return error_code();
    }
    bool got(document const& d) const { return size_ == d.bytes.size() && sha256_ == d.sha256; }
    std::uint64_t size() const noexcept { return size_; }

private:
    digest digest_;
    std::uint64_t size_ = 0;
    std::string sha256_;
};

/// Gives a document, which outlives it.
class document_source final : public body_source {
public:
    explicit document_source(document const& d) : bytes_(d.bytes) {}
    std::uint64_t size() const noexcept override { return bytes_.size(); }
    asio::awaitable<result<std::size_t>> read(char* to, std::size_t max) override {
        auto const n = std::min(max, bytes_.size() - at_);
        std::memcpy(to, bytes_.data() + at_, n);
        at_ += n;
        co_return n;
    }
    bool rewind() noexcept override {
        at_ = 0;
        return true;
    }

private:
    std::string_view bytes_;
    std::size_t at_ = 0;
};

/// Counts the exchanges by what they went over.
class version_counter final : public span_listener {
public:
    std::unique_ptr<open_span> start(span_start const& s) override {
        if (s.what != span_start::kind::exchange) return nullptr;
        auto const is_http2 = [](span_attribute const& a) {
            return a.name == "network.protocol.version" && std::get<std::string_view>(a.value) == "2";
        };
        ++(std::any_of(s.attributes.begin(), s.attributes.end(), is_http2) ? over_http2 : over_others);
        return nullptr;
    }
    std::size_t over_http2 = 0;
    std::size_t over_others = 0;
};

/// One call: what it is made of.
struct order {
    connection to;
    world const* all;
    std::size_t number;
};
/// Makes a call. @return what is wrong with its answer; empty: nothing.
using made = asio::awaitable<std::string>;
using kind = made (*)(order);

constexpr auto patience = 60s;
std::string const content = "/rest/api/3/attachment/content/";

std::string wrong_with(result<response> const& r, int status) {
    if (!r) return r.error().describe();
    return r->status() == status ? std::string() : "it is answered " + std::to_string(r->status());
}
std::string wrong_with(result<response> const& r, int status, std::string_view body) {
    auto wrong = wrong_with(r, status);
    if (wrong.empty() && std::string_view(r->body()) != body)
        wrong = "another body, of " + std::to_string(r->body().size()) + " bytes";
    return wrong;
}
std::string wrong_with(result<response> const& r, digesting_sink const& sink, document const& wanted) {
    auto wrong = wrong_with(r, 200);
    if (wrong.empty() && !sink.got(wanted))
        wrong = "the sink got another body, of " + std::to_string(sink.size()) + " bytes";
    return wrong;
}

made get_small(order o) {
    auto const r = co_await o.to.call(request::get(content + "small.json").timeout(patience));
    co_return wrong_with(r, 200, o.all->small.bytes);
}
made get_with_query(order o) {
    auto const r = co_await o.to.call(
        request::get(content + "small.json?fields=summary%2Cstatus&maxResults=50").timeout(patience));
    co_return wrong_with(r, 200, o.all->small.bytes);
}
made get_large_json(order o) {
    auto const r = co_await o.to.call(request::get(content + "large.json").timeout(patience));
    co_return wrong_with(r, 200, o.all->json.bytes);
}
made get_large_noise(order o) {
    auto const r = co_await o.to.call(request::get(content + "large.bin").timeout(patience));
    co_return wrong_with(r, 200, o.all->noise.bytes);
}
made get_missing(order o) {
    auto const r = co_await o.to.call(request::get(content + "none.json").timeout(patience));
    co_return wrong_with(r, 404);
}
made head_large(order o) {
    auto const r = co_await o.to.call(request::head(content + "large.bin").timeout(patience));
    auto wrong = wrong_with(r, 200, "");
    if (wrong.empty() && r->header("content-length") != std::to_string(mega))
        wrong = "its length is said to be " + std::string(r->header("content-length"));
    co_return wrong;
}
made get_into_sink(order o) {
    auto const sink = std::make_shared<digesting_sink>();
    auto const r = co_await o.to.call(request::get(content + "large.bin").timeout(patience), sink);
    co_return wrong_with(r, *sink, o.all->noise);
}

// Of an application

made get_search(order o) {
    std::string const query = "jql=project%20%3D%20A&fields=summary%2Cstatus";
    auto const r = co_await o.to.call(request::get("/rest/api/3/search?" + query).timeout(patience));
    co_return wrong_with(r, 200, R"({"query":")" + query + R"("})");
}
std::string issue(std::size_t number, std::string const& words) {
    return R"({"id":)" + std::to_string(number) + R"(,"fields":{"description":)" + words + "}}";
}
made create(order o) {
    auto const body = issue(o.number, R"("words")");
    auto const r = co_await o.to.call(request::post("/rest/api/3/issue").json(body).timeout(patience));
    co_return wrong_with(r, 201, body);
}
made create_large(order o) {
    auto const body = issue(o.number, o.all->json.bytes);
    auto const r = co_await o.to.call(request::post("/rest/api/3/issue").json(body).timeout(patience));
    co_return wrong_with(r, 201, body);
}
request attach(std::string const& issue) {
    return request::post("/rest/api/3/issue/" + issue).body({}, "application/octet-stream").timeout(patience);
}
std::string digest_answer(document const& d) {
    return R"({"bytes":)" + std::to_string(d.bytes.size()) + R"(,"sha256":")" + d.sha256 + R"("})";
}
made post_from_source(order o) {
    auto const source = std::make_shared<document_source>(o.all->noise);
    auto const r = co_await o.to.call(attach("A-1/attachments"), source);
    co_return wrong_with(r, 200, digest_answer(o.all->noise));
}
made echo_through_streams(order o) {
    auto const sink = std::make_shared<digesting_sink>();
    body_streams streams(std::make_shared<document_source>(o.all->noise), sink);
    auto const r = co_await o.to.call(attach("A-1/echo"), std::move(streams));
    co_return wrong_with(r, *sink, o.all->noise);
}
made delete_one(order o) {
    auto const r = co_await o.to.call(request::delete_("/rest/api/3/issue/A-1").timeout(patience));
    co_return wrong_with(r, 204, "");
}
/// What is answered before it was sent is answered.
made post_too_large(order o) {
    auto const source = std::make_shared<document_source>(o.all->noise);
    auto const r = co_await o.to.call(attach("A-2/attachments"), source);
    co_return wrong_with(r, 413);
}

// Of nghttpd, which sends back what is posted to it

made echo_small(order o) {
    auto const body = issue(o.number, R"("words")");
    auto const r = co_await o.to.call(request::post("/rest/api/3/issue").json(body).timeout(patience));
    co_return wrong_with(r, 200, body);
}
made echo_large(order o) {
    auto const body = issue(o.number, o.all->json.bytes);
    auto const r = co_await o.to.call(request::post("/rest/api/3/issue").json(body).timeout(patience));
    co_return wrong_with(r, 200, body);
}

// Transfers

made download_huge(order o) {
    auto const sink = std::make_shared<digesting_sink>();
    auto const r = co_await o.to.call(request::get(content + "huge.bin").timeout(patience), sink);
    co_return wrong_with(r, *sink, o.all->huge);
}
made upload_huge(order o) {
    auto const source = std::make_shared<document_source>(o.all->huge);
    auto const r = co_await o.to.call(attach("A-1/attachments"), source);
    co_return wrong_with(r, 200, digest_answer(o.all->huge));
}
made echo_huge(order o) {
    auto const sink = std::make_shared<digesting_sink>();
    body_streams streams(std::make_shared<document_source>(o.all->huge), sink);
    auto const r = co_await o.to.call(attach("A-1/echo"), std::move(streams));
    co_return wrong_with(r, *sink, o.all->huge);
}

std::vector<kind> const of_documents = {get_small,       get_with_query, get_missing,  head_large,
                                        get_large_noise, get_large_json, get_into_sink};
std::vector<kind> const of_application = {get_search,           create,     create_large,  post_from_source,
                                          echo_through_streams, delete_one, post_too_large};
std::vector<kind> const of_echoes = {echo_small, echo_large, echo_through_streams};

std::vector<kind> both(std::vector<kind> one, std::vector<kind> const& other) {
    one.insert(one.end(), other.begin(), other.end());
    return one;
}

/// A client, and what becomes of its calls. All runs on the thread of the test.
class trial {
public:
    trial(world const& all, std::uint16_t port)
        : all_(all), ca_(test_authority().pem()), jira_(io_, params(port)), site_(gateway::of(jira_)) {}

    connections& jira() noexcept { return jira_; }
    connection const& site() const noexcept { return site_; }
    std::size_t ended() const noexcept { return ended_; }
    std::size_t failed() const noexcept { return failed_; }

    /// So many calls of all kinds by turns, so many of them at once. `beside`: runs with them.
    void make(std::vector<kind> const& kinds, std::size_t calls, std::size_t at_once,
              asio::awaitable<void> beside = {}) {
        wanted_ = begun_ + calls;
        std::vector<asio::awaitable<void>> all;
        for (std::size_t i = 0; i < at_once; ++i) all.push_back(by_turns(this, &kinds));
        if (beside.valid()) all.push_back(std::move(beside));
        run(std::move(all));
    }
    /// Each of them once, beside one another.
    void make_each(std::vector<kind> const& kinds) {
        std::vector<asio::awaitable<void>> all;
        for (auto const k : kinds) all.push_back(one(this, k));
        run(std::move(all));
    }
    /// Of a call that has ended: what is wrong with its answer, if anything.
    void count(std::string const& wrong) {
        ++ended_;
        if (wrong.empty()) return;
        ++failed_;
        if (wrong_.size() < 10) wrong_.push_back(wrong);
    }
    /// No more calls than were begun.
    void make_no_more() noexcept { wanted_ = begun_; }

    /// How many issues the application created, and how many of them twice.
    std::pair<std::size_t, std::size_t> created() {
        std::pair<std::size_t, std::size_t> counts{0, 1};
        auto const ask = [](connection c, std::pair<std::size_t, std::size_t>* to) -> asio::awaitable<void> {
            auto const r = co_await c.call(request::get("/rest/api/3/issue/created"));
            if (r) std::sscanf(std::string(std::string_view(r->body())).c_str(), "%zu %zu", &to->first, &to->second);
        };
        std::vector<asio::awaitable<void>> all;
        all.push_back(ask(site_, &counts));
        run(std::move(all));
        return counts;
    }

    void tell(std::string const& name) const {
        figure("http2_" + name + "_calls_failed", static_cast<double>(failed_));
        figure("http2_" + name + "_exchanges_over_http1", static_cast<double>(versions_->over_others));
        CHECK(versions_->over_http2 >= ended_);
        CHECK(versions_->over_others == 0);
        for (auto const& w : wrong_) UNSCOPED_INFO(w);
        CHECK(failed_ == 0);
    }

private:
    client_params params(std::uint16_t port) const {
        client_params p;
        p.tls.ca_file = ca_.path();
        p.connect_to.push_back({"", "127.0.0.1", port});
        p.wire.http = http_versions::http2;
        p.limits.mode = limiting::off;  // of which these servers say nothing
        p.spans = versions_;
        p.executor_is_serial = true;
        return p;
    }

    static asio::awaitable<void> one(trial* t, kind k) {
        auto const number = t->begun_++;
        order o{t->site_, &t->all_, number};
        std::string wrong = co_await k(std::move(o));
        t->count(wrong);
    }
    static asio::awaitable<void> by_turns(trial* t, std::vector<kind> const* kinds) {
        while (t->begun_ < t->wanted_) co_await one(t, (*kinds)[t->begun_ % kinds->size()]);
    }

    void run(std::vector<asio::awaitable<void>> all) {
        running_ = all.size();
        for (auto& a : all) {
            asio::co_spawn(io_, std::move(a), [this](std::exception_ptr const& e) {
                if (e) ++failed_;
                if (--running_ == 0) io_.stop();
            });
        }
        io_.restart();
        io_.run();
    }

    world const& all_;
    ca_file const ca_;
    std::shared_ptr<version_counter> const versions_ = std::make_shared<version_counter>();
    asio::io_context io_{1};
    client jira_;
    connection site_;
    std::size_t running_ = 0;
    std::size_t wanted_ = 0;
    std::size_t begun_ = 0;
    std::size_t ended_ = 0;
    std::size_t failed_ = 0;
    std::vector<std::string> wrong_;
};

/// The application: over HTTP/1.1 for proxies, and over HTTP/2 by Node's own server.
struct application {
    explicit application(world const& w, std::string const& manner = "calm")
        : port(free_port()),
          node({"node", JIRAPOOL_FOREIGN_APPLICATION, w.documents(), std::to_string(port), std::to_string(node_port),
                w.key(), w.certificate(), manner},
               node_port) {}
    std::uint16_t const port;
    std::uint16_t const node_port = free_port();
    foreign_server const node;
};

/// As root, which servers leave unless they are told to stay: what they serve is nobody else's.
std::string as_root(char const* line) { return ::geteuid() == 0 ? line : ""; }

/// nginx with one process at work, of which its answers tell, and which a reload replaces.
class nginx {
public:
    /// `requests`: as many a channel may carry.
    nginx(world const& w, application const& behind, std::size_t requests)
        : folder_(w.root / "nginx"), words_(configured(w, behind, requests)), server_(words_, port_) {}
    std::uint16_t port() const noexcept { return port_; }
    bool reload() const {
        auto words = words_;
        words.insert(words.end(), {"-s", "reload"});
        int status = -1;
        return ::waitpid(support::start_program(std::move(words)), &status, 0) > 0 && status == 0;
    }

private:
    std::vector<std::string> configured(world const& w, application const& behind, std::size_t requests) const {
        fs::create_directories(folder_);
        auto const in = [&](char const* name) { return (folder_ / name).string(); };
        std::ofstream(in("nginx.conf"))
            << as_root("user root;\n") << "daemon off; worker_processes 1; pid " << in("pid")
            << "; events {}\nhttp {\n  access_log off; keepalive_timeout 600s; keepalive_requests " << requests
            << "; add_header X-Process $pid;\n"
            << "  types { application/json json; application/octet-stream bin; }\n"
            << "  gzip on; gzip_types application/json; gzip_proxied any; gzip_min_length 100;\n"
            << "  client_max_body_size 200m; proxy_http_version 1.1; proxy_request_buffering off;\n"
            << "  client_body_temp_path " << in("a") << "; proxy_temp_path " << in("b") << "; fastcgi_temp_path "
            << in("c") << "; uwsgi_temp_path " << in("d") << "; scgi_temp_path " << in("e") << ";\n"
            << "  server {\n    listen 127.0.0.1:" << port_ << " ssl http2; ssl_certificate " << w.certificate()
            << "; ssl_certificate_key " << w.key() << "; root " << w.documents() << ";\n"
            << "    location ~ /3/issue/A-2/ { client_max_body_size 1k; }\n"
            << "    location ~ /3/(issue|search) { proxy_pass http://127.0.0.1:" << behind.port << "; }\n  }\n}\n";
        return {"nginx", "-p", folder_.string(), "-e", in("error.log"), "-c", in("nginx.conf")};
    }

    fs::path const folder_;
    std::uint16_t const port_ = free_port();
    std::vector<std::string> const words_;
    foreign_server const server_;
};

/// With what the others do not do: padding in each frame, and trailers.
std::vector<std::string> nghttpd(world const& w, std::uint16_t port) {
    return {"nghttpd",
            "-a",
            "127.0.0.1",
            "-d",
            w.documents(),
            "-n",
            "2",
            "-b",
            "200",
            "--echo-upload",
            "--trailer",
            "x-ended: yes",
            std::to_string(port),
            w.key(),
            w.certificate()};
}

std::vector<std::string> h2o(world const& w, application const& behind, std::uint16_t port) {
    auto const configuration = w.root / "h2o.conf";
    std::ofstream out(configuration);
    out << as_root("user: root\n") << "listen:\n  host: 127.0.0.1\n  port: " << port
        << "\n  ssl:\n    certificate-file: " << w.certificate() << "\n    key-file: " << w.key()
        << "\ncompress: ON\nhosts:\n  default:\n    paths:\n";
    for (std::string const place : {"issue", "search"}) {
        auto const path = "/ex/jira/11111111-2222-3333-4444-555555555555/rest/api/3/" + place;
        out << "      \"" << path << "\":\n        proxy.reverse.url: \"http://127.0.0.1:" << behind.port << path
            << "\"\n";
    }
    out << "      \"/\":\n        file.dir: " << w.documents() << "\n";
    return {"h2o", "-c", configuration};
}

world const& shared_world() {
    static world const w;
    return w;
}

/// What holds for each server: a thousand calls of all kinds, and 100 MB each way at once.
void judge(std::string const& name, std::uint16_t port, std::vector<kind> const& kinds,
           std::vector<kind> const& transfers) {
    trial t(shared_world(), port);
    t.make(kinds, 1'050, 32);
    auto const mixed = t.ended() - t.failed();
    figure("http2_" + name + "_mixed_calls", static_cast<double>(mixed));
    CHECK(mixed >= 1'000);

    auto const before = t.jira().totals();
    t.make_each(transfers);
    auto const moved = t.jira().totals() - before;
    figure("http2_" + name + "_upload_bytes", static_cast<double>(moved.bytes_sent));
    figure("http2_" + name + "_download_bytes", static_cast<double>(moved.bytes_received));
    CHECK(moved.bytes_sent >= transferred);
    CHECK(moved.bytes_received >= transferred);
    t.tell(name);
}

void tell_of_created(std::string const& name, trial& t) {
    auto const [created, twice] = t.created();
    figure("http2_" + name + "_created_twice", static_cast<double>(twice));
    CHECK(created > 0);
    CHECK(twice == 0);
}

/// The process of nginx that answers now; empty: none did.
asio::awaitable<std::string> answering_process(trial* t) {
    auto const r = co_await t->site().call(request::get(content + "small.json").timeout(patience));
    t->count(wrong_with(r, 200, shared_world().small.bytes));
    co_return r ? std::string(r->header("x-process")) : std::string();
}

/// Behind some more calls each time. What counts is that the next process answers.
asio::awaitable<void> reload_by_turns(nginx const* server, trial* t, std::size_t times, std::size_t* reloads) {
    constexpr std::size_t calls_between = 100;
    std::string process = co_await answering_process(t);
    while (*reloads < times) {
        for (auto const calls = t->ended() + calls_between; t->ended() < calls;) co_await answering_process(t);
        if (!server->reload()) break;
        auto const end = std::chrono::steady_clock::now() + 20s;
        std::string next = process;
        while (next == process && std::chrono::steady_clock::now() < end) next = co_await answering_process(t);
        if (next.empty() || next == process) break;
        process = next;
        ++*reloads;
    }
    t->make_no_more();
}

}  // namespace

TEST_CASE("conformance: nginx answers all that is asked, over HTTP/2", "[.figures]") {
    application const behind(shared_world());
    nginx const server(shared_world(), behind, 1'000);
    judge("nginx", server.port(), both(of_documents, of_application), {download_huge, upload_huge});
}

TEST_CASE("conformance: nghttpd answers all that is asked, over HTTP/2", "[.figures]") {
    auto const port = free_port();
    foreign_server const server(nghttpd(shared_world(), port), port);
    judge("nghttpd", port, both(of_documents, of_echoes), {download_huge, echo_huge});
}

TEST_CASE("conformance: h2o answers all that is asked, over HTTP/2", "[.figures]") {
    application const behind(shared_world());
    auto const port = free_port();
    foreign_server const server(h2o(shared_world(), behind, port), port);
    judge("h2o", port, both(of_documents, of_application), {download_huge, upload_huge});
}

TEST_CASE("conformance: Node's server answers all that is asked, over HTTP/2", "[.figures]") {
    application const server(shared_world());
    judge("node", server.node_port, both(of_documents, of_application), {download_huge, upload_huge});
}

TEST_CASE("conformance: Node's server that pings, changes its settings and ends channels loses no call", "[.figures]") {
    application const server(shared_world(), "restless");
    trial t(shared_world(), server.node_port);
    t.make(both(of_documents, of_application), 3'000, 32);
    figure("http2_node_restless_calls", static_cast<double>(t.ended()));
    CHECK(t.jira().totals().channels_opened >= t.ended() / 100);
    tell_of_created("node", t);
    t.tell("node");
}

TEST_CASE("conformance: no call is lost or done twice while nginx reloads under load", "[.figures]") {
    application const behind(shared_world());
    nginx const server(shared_world(), behind, 1'000'000);
    trial t(shared_world(), server.port());
    std::size_t reloads = 0;
    t.make(both(of_documents, of_application), 1'000'000, 32, reload_by_turns(&server, &t, 25, &reloads));
    figure("http2_nginx_reloads", static_cast<double>(reloads));
    figure("http2_nginx_reload_calls", static_cast<double>(t.ended()));
    CHECK(reloads == 25);
    tell_of_created("nginx", t);
    t.tell("nginx");
}

TEST_CASE("conformance: no call is lost or done twice where nginx ends each channel behind 50 requests", "[.figures]") {
    application const behind(shared_world());
    nginx const server(shared_world(), behind, 50);
    trial t(shared_world(), server.port());
    t.make({get_small, create, get_missing, delete_one, get_search, get_into_sink, post_from_source}, 5'000, 256);
    t.make({get_small}, 10'000, 64);
    auto const channels = t.jira().totals().channels_opened;
    figure("http2_nginx_short_channels", static_cast<double>(channels));
    CHECK(channels >= t.ended() / 50);
    tell_of_created("nginx", t);
    t.tell("nginx");
}
