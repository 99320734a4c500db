#pragma once

#include "unit/mock/http2_client.hpp"
#include "unit/mock/tls_client.hpp"

#include "text.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace jirapool::mock {

enum class http_version : std::uint8_t { http1_1, http2 };

/// A client that asks the same by either version of HTTP, so that one test holds for both.
class any_client {
public:
    using fields = std::vector<std::pair<std::string, std::string>>;

    any_client(server const& s, std::string host, http_version v) : host_(std::move(host)) {
        if (v == http_version::http2) http2_.emplace(s, host_);
        else http1_.emplace(s, host_);
    }

    bool is_connected() const { return http2_ ? http2_->is_connected() : http1_->is_connected(); }

    void send(std::string const& method, std::string const& target, fields const& more = {}) {
        if (http2_) {
            stream_ = http2_->begin(method, target, more);
            return;
        }
        std::string text = method + ' ' + target + " HTTP/1.1\r\nHost: " + host_ + "\r\n";
        for (auto const& [name, value] : more) text += name + ": " + value + "\r\n";
        http1_->send(text + "\r\n");
    }
    /// The answer to what was sent last; without a status if the connection ends before. Names of fields are in lower case.
    http2_answer read() { return http2_ ? http2_->wait_for(stream_) : read_http1(); }
    http2_answer ask(std::string const& method, std::string const& target, fields const& more = {}) {
        send(method, target, more);
        return read();
    }

    /// True if the server ends the connection and has answered nothing more.
    bool is_ended() {
        if (!http2_) return http1_->is_ended();
        http2_->read_all();
        return !http2_->answer_of(stream_).is_ended && http2_->is_ended();
    }
    /// The same after an answer.
    bool is_ended_behind_answer() {
        if (!http2_) return http1_->is_ended();
        http2_->read_all();
        return http2_->is_ended();
    }
    bool was_closed_in_order() { return http2_ ? http2_->was_closed_in_order() : http1_->was_closed_in_order(); }

private:
    http2_answer read_http1() {
        http2_answer a;
        std::string const text = http1_->read_answer();
        auto const end = text.find("\r\n\r\n");
        if (end == std::string::npos) return a;
        a.status = std::stoi(text.substr(text.find(' ')));
        a.body = text.substr(end + 4);
        a.is_ended = true;
        for (std::size_t at = text.find("\r\n") + 2; at < end + 2; at = text.find("\r\n", at) + 2) {
            auto const colon = text.find(": ", at);
            a.fields[lower(text.substr(at, colon - at))] = text.substr(colon + 2, text.find("\r\n", at) - colon - 2);
        }
        return a;
    }

    std::string const host_;
    std::optional<client> http1_;
    std::optional<http2_client> http2_;
    std::uint32_t stream_ = 0;
};

}  // namespace jirapool::mock
