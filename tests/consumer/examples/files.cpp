// Files up and down, of any size: files up ISSUE FILE attaches a file to an issue, files down ATTACHMENT-ID FILE fetches one.
// Neither is ever in memory as a whole.
#include <jirapool/pool/client.hpp>
#include <jirapool/pool/files.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

/// A file as the one part of a multipart form, as Jira takes attachments.
class attachment final : public jirapool::body_source {
public:
    attachment(std::shared_ptr<jirapool::file_source> file, std::string name) : file_(std::move(file)) {
        // What would end the header of the part, or its quotes, has no place in a name.
        std::replace_if(name.begin(), name.end(), [](char c) { return c == '"' || c == '\r' || c == '\n'; }, '_');
        std::random_device random;
        boundary_ = "acme-" + std::to_string(random()) + std::to_string(random());
        head_ = "--" + boundary_ + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name +
                "\"\r\nContent-Type: application/octet-stream\r\n\r\n";
        tail_ = "\r\n--" + boundary_ + "--\r\n";
    }
    std::string content_type() const { return "multipart/form-data; boundary=" + boundary_; }

    std::uint64_t size() const noexcept override { return head_.size() + file_->size() + tail_.size(); }

    asio::awaitable<jirapool::result<std::size_t>> read(char* to, std::size_t max) override {
        auto const file_end = head_.size() + file_->size();
        std::size_t count = 0;
        if (at_ < head_.size()) {
            count = head_.copy(to, max, at_);
        } else if (at_ < file_end) {
            auto const of_file = co_await file_->read(to, std::min<std::uint64_t>(max, file_end - at_));
            if (!of_file) co_return of_file.error();
            count = *of_file;
        } else {
            count = tail_.copy(to, max, at_ - file_end);
        }
        at_ += count;
        co_return count;
    }

    bool rewind() noexcept override {
        at_ = 0;
        return file_->rewind();
    }

private:
    std::shared_ptr<jirapool::file_source> file_;
    std::string boundary_;
    std::string head_;
    std::string tail_;
    std::uint64_t at_ = 0;
};

/// Says what came of a call; true if all is well.
bool report(jirapool::result<jirapool::response> const& answer) {
    if (answer && answer->ok()) return true;
    if (answer) std::cerr << answer->status() << ' ' << std::string_view(answer->body()) << '\n';
    else std::cerr << answer.error().describe() << '\n';
    return false;
}

asio::awaitable<bool> up(jirapool::connection acme, std::string issue, std::string path) {
    auto file = jirapool::file_source::open(path);
    if (!file) {
        std::cerr << file.error().describe() << '\n';
        co_return false;
    }
    auto const form = std::make_shared<attachment>(*file, std::filesystem::path(path).filename().string());
    auto attach = jirapool::request::post("/rest/api/3/issue/" + issue + "/attachments")
                      .header("X-Atlassian-Token", "no-check")
                      .body({}, form->content_type())
                      .timeout(10min);
    auto const answer = co_await acme.call(std::move(attach), form);
    co_return report(answer);
}

asio::awaitable<bool> down(jirapool::connection acme, std::string id, std::string path) {
    // With a redirect the answer would be an address, without the bytes.
    auto fetch = jirapool::request::get("/rest/api/3/attachment/content/" + id + "?redirect=false").timeout(10min);
    // The file is at its place when the body is whole, and not before.
    auto const to = std::make_shared<jirapool::file_sink>(std::move(path));
    auto const answer = co_await acme.call(std::move(fetch), to);
    co_return report(answer);
}

}  // namespace

int main(int argc, char** argv) {
    std::string const direction = argc == 4 ? argv[1] : "";
    if (direction != "up" && direction != "down") {
        std::cerr << "usage: files up ISSUE FILE | files down ATTACHMENT-ID FILE\n";
        return 2;
    }
    asio::io_context io;
    jirapool::client_params params;
    params.user_agent = "acme-sync/1.2 (+ops@acme.example)";
    params.executor_is_serial = true;  // one thread runs io
    jirapool::client jira(io, std::move(params));
    char const* const key = std::getenv("ACME_JIRA_KEY");
    auto const acme = jira.add("acme", jirapool::personal_api_token("https://acme.atlassian.net", "bot@acme.example",
                                                                    jirapool::secret(key ? key : "")));
    if (!acme) {
        std::cerr << acme.error().describe() << '\n';
        return 1;
    }
    bool good = false;
    asio::co_spawn(io, direction == "up" ? up(*acme, argv[2], argv[3]) : down(*acme, argv[2], argv[3]),
                   [&](std::exception_ptr thrown, bool all_well) {
                       good = !thrown && all_well;
                       jira.stop();
                   });
    io.run();
    return good ? 0 : 1;
}
