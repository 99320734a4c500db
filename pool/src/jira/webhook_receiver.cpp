#include <jirapool/pool/webhook_receiver.hpp>

#include "jira/callback_url.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <stdexcept>
#include <unordered_set>

namespace jirapool {

namespace {

/// The path of a URL, or of what is one alone, with a slash at either end.
std::string path_of(std::string_view base) {
    if (base.find_first_of("?#") != base.npos)
        throw std::invalid_argument("webhook_receiver: the base must have no query and no fragment");
    if (auto const scheme = base.find("://"); scheme != base.npos) {
        if (auto const* const rule = detail::why_invalid_callback_url(base))
            throw std::invalid_argument(std::string("webhook_receiver: the base ") + rule);
        auto const slash = base.find('/', scheme + 3);
        base = slash == base.npos ? std::string_view() : base.substr(slash);
    }
    std::string path(base);
    if (!path.starts_with('/')) path.insert(0, "/");
    if (!path.ends_with('/')) path.push_back('/');
    return path;
}

webhook_receiver::outcome ended(unsigned status, failure why) { return {status, std::move(why), false}; }

failure refused(char const* field, std::string rule) {
    return failure(errc::invalid_argument, std::move(rule)).with_field(field);
}

}  // namespace

/// Which of a connection's deliveries are handled, or being so: shared by an endpoint and by the one that takes its place.
class webhook_receiver::history {
public:
    explicit history(std::size_t most) : seen_(most) {}

    enum class word { begin, being_handled, handled };
    /// `begin`: the caller handles it, and says how that ended. One without an id is always new. May throw std::bad_alloc.
    word ask(std::string const& id, steady_time now) {
        if (id.empty()) return word::begin;
        std::lock_guard const lock(mutex_);
        if (in_hand_.contains(id)) return word::being_handled;
        auto const place = in_hand_.insert(id).first;
        try {
            if (seen_.is_new(id, now)) return word::begin;
        } catch (std::bad_alloc const&) {
            in_hand_.erase(place);
            throw;
        }
        in_hand_.erase(place);
        return word::handled;
    }
    void end(std::string const& id, bool handled) noexcept {
        std::lock_guard const lock(mutex_);
        in_hand_.erase(id);
        if (!handled) seen_.forget(id);
    }

private:
    std::mutex mutex_;
    webhook_window seen_;
    std::unordered_set<std::string> in_hand_;
};

struct webhook_receiver::endpoint {
    std::vector<secret> secrets;
    handler handle;
    std::shared_ptr<history> known;
};

webhook_receiver::webhook_receiver(std::string_view base)
    : path_(path_of(base)), counts_(std::make_shared<delivery_counts>()) {}
webhook_receiver::~webhook_receiver() = default;

void webhook_receiver::add(std::string_view connection_id, std::vector<secret> signing_secrets, handler h,
                           std::size_t window) {
    auto const made = std::make_shared<endpoint>();
    made->secrets = std::move(signing_secrets);
    made->handle = std::move(h);
    auto segment = detail::encoded_segment(connection_id);
    auto known = std::make_shared<history>(window);
    std::lock_guard const lock(mutex_);
    auto& there = by_segment_[std::move(segment)];
    made->known = there ? there->known : std::move(known);
    there = made;
}

bool webhook_receiver::remove(std::string_view connection_id) {
    auto const segment = detail::encoded_segment(connection_id);
    std::lock_guard const lock(mutex_);
    return by_segment_.erase(segment) > 0;
}

std::size_t webhook_receiver::size() const {
    std::lock_guard const lock(mutex_);
    return by_segment_.size();
}

std::shared_ptr<webhook_receiver::endpoint> webhook_receiver::find(std::string_view target) const {
    auto const path = target.substr(0, target.find('?'));
    if (!path.starts_with(path_)) return nullptr;
    std::string const segment(path.substr(path_.size()));
    std::lock_guard const lock(mutex_);
    auto const found = by_segment_.find(segment);
    return found == by_segment_.end() ? nullptr : found->second;
}

webhook_receiver::outcome webhook_receiver::without_memory() noexcept {
    return ended(500, failure(make_error_code(boost::system::errc::not_enough_memory)));
}

webhook_receiver::outcome webhook_receiver::hand_out(endpoint const& to, webhook_delivery const& d, steady_time now) {
    switch (to.known->ask(d.id, now)) {
    case history::word::handled: return {200, {}, true};
    case history::word::being_handled:
        return ended(503, refused("X-Atlassian-Webhook-Identifier", "this delivery is being handled"));
    case history::word::begin: break;
    }
    bool handled = false;
    try {
        if (!to.handle) throw std::logic_error("there is none");
        handled = to.handle(d);
    } catch (std::exception const& e) {
        to.known->end(d.id, false);
        return ended(500, refused("handler", e.what()));
    } catch (...) {
        to.known->end(d.id, false);
        return ended(500, refused("handler", "it threw what is no std::exception"));
    }
    to.known->end(d.id, handled);
    return handled ? outcome{200, {}, false} : ended(500, refused("handler", "it did not handle it"));
}

namespace {

delivery_result result_of(webhook_receiver::outcome const& o) noexcept {
    if (o.duplicate) return delivery_result::repeated;
    if (o.status == 200) return delivery_result::handled;
    return o.status == 500 || o.status == 503 ? delivery_result::failed : delivery_result::refused;
}

}  // namespace

webhook_receiver::outcome webhook_receiver::receive(std::string_view target, webhook_request const& r,
                                                    steady_time now) {
    auto outcome = take(target, r, now);
    counts_->add(result_of(outcome));
    return outcome;
}

webhook_receiver::outcome webhook_receiver::take(std::string_view target, webhook_request const& r, steady_time now) {
    try {
        auto const to = find(target);
        if (!to) return ended(404, refused("target", "no connection has this path"));
        // An empty secret, by which anybody could sign, is the receiver's own mistake, wherever it stands.
        auto const empty = std::find_if(to->secrets.begin(), to->secrets.end(),
                                        [](secret const& s) { return s.empty(); });
        secret const none;
        auto delivery = read_webhook_delivery(r, to->secrets.empty() || empty != to->secrets.end()
                                                     ? none
                                                     : to->secrets.front());
        for (std::size_t i = 1; !delivery && delivery.error().status() == 401 && i < to->secrets.size(); ++i)
            delivery = read_webhook_delivery(r, to->secrets[i]);
        if (!delivery) {
            auto why = delivery.error();
            auto const status = static_cast<unsigned>(why.status());
            return ended(status, std::move(why));
        }
        return hand_out(*to, *delivery, now);
    } catch (std::bad_alloc const&) {
        return without_memory();
    }
}

}  // namespace jirapool
