#pragma once

#include <jirapool/core/delivery_counts.hpp>
#include <jirapool/pool/webhook_delivery.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace jirapool {

/** Receives the deliveries of many webhooks: finds whose each is by its path, proves it, hands it out once, and says what to answer,
    so that Jira delivers again what was not handled. The HTTPS server is the user's; what is here knows no socket.

    Each connection has a path of its own, `{path of the base}/{connection id}`, as webhook_callback_url makes it: a delivery names no
    site (core/doc/jira-cloud.md, 7.2).

    @par Threads   Any, for all functions. A handler is called by `receive`, on its thread, and several may run at once, also of one
                   connection; it may call any function here. One that was removed or replaced may still run. */
class webhook_receiver {
public:
    /// What is done with a delivery. True: it is handled. False, or an exception: Jira is asked to deliver it again, which it does
    /// up to five times, 5 to 15 minutes apart. Jira waits some 20 s for the answer: longer work belongs into a queue.
    using handler = std::function<bool(webhook_delivery const&)>;

    /// `base`: as for webhook_callback_url, or its path alone, with or without slashes around it. What comes under another path is
    /// nobody's. Throws std::invalid_argument when it is neither.
    explicit webhook_receiver(std::string_view base = "/");
    webhook_receiver(webhook_receiver const&) = delete;
    webhook_receiver& operator=(webhook_receiver const&) = delete;
    ~webhook_receiver();

    /// Deliveries to this connection's path are proved by one of the secrets and go to `h`. Two secrets are live while one takes the
    /// other's place; with none, or an empty one among them, deliveries are answered with 500. In place of what was there under that
    /// id; what was handled already stays known. May throw std::bad_alloc, and has done nothing then. `window`: how many ids of
    /// deliveries are remembered (webhook_window), from when the id is first added.
    void add(std::string_view connection_id, std::vector<secret> signing_secrets, handler h,
             std::size_t window = 10'000);
    /// Deliveries to that path are answered with 404 from now on, which Jira does not repeat, and what was handled is forgotten. False:
    /// there was none. May throw std::bad_alloc, and has done nothing then.
    bool remove(std::string_view connection_id);
    std::size_t size() const;

    /// What became of all requests so far, for a metrics::collector. It may outlive the receiver.
    std::shared_ptr<delivery_counts const> counts() const noexcept { return counts_; }

    /// What became of a request.
    struct outcome {
        unsigned status = 500;  ///< to answer with
        /// Why it was not handed out, or not handled: invalid_argument, whose failure::field and failure::rule tell ("handler" with
        /// what it threw), or not_enough_memory. Without a code it was handled.
        failure why;
        bool duplicate = false;  ///< it was handled before
    };
    /** Takes a request.

        @param target   As it was sent: path and query.
        @return 200: handled, now or before. 404: nobody's path. 503: the same delivery is being handled at this moment. 500: the handler
                failed, or memory lacks. Else the status of read_webhook_delivery. Jira delivers 500 and 503 again. */
    outcome receive(std::string_view target, webhook_request const& r, steady_time now);

    /// The same for a message of Boost.Beast: `receiver.receive(request, std::chrono::steady_clock::now())`, request being an
    /// http::request<http::string_body>.
    template <class Message>
        requires requires(Message const& m) { m.method_string(); }
    outcome receive(Message const& m, steady_time now) {
        try {
            std::vector<webhook_request::header> headers;
            for (auto const& field : m) headers.push_back({view(field.name_string()), view(field.value())});
            return receive(view(m.target()), {view(m.method_string()), headers, view(m.body())}, now);
        } catch (std::bad_alloc const&) {
            counts_->add(delivery_result::failed);
            return without_memory();
        }
    }

private:
    class history;
    struct endpoint;
    template <class Text>
    static std::string_view view(Text const& t) noexcept {
        return {t.data(), t.size()};
    }
    outcome take(std::string_view target, webhook_request const& r, steady_time now);
    std::shared_ptr<endpoint> find(std::string_view target) const;
    static outcome without_memory() noexcept;
    static outcome hand_out(endpoint const& to, webhook_delivery const& d, steady_time now);

    std::string const path_;  // ends in a slash
    std::shared_ptr<delivery_counts> const counts_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<endpoint>> by_segment_;  // percent-encoded, as in the URL
};

}  // namespace jirapool
