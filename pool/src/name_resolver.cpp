#include "name_resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace jirapool::detail {

/// The duplicate outlives the waiter's own descriptor, so that a late answer never meets another file of that number.
class name_resolver::lookup::signal {
public:
    explicit signal(int descriptor) : descriptor_(::dup(descriptor)) {
        if (descriptor_ < 0) throw std::system_error(errno, std::generic_category());
    }
    ~signal() { ::close(descriptor_); }
    signal(signal const&) = delete;
    signal& operator=(signal const&) = delete;
    void raise() const noexcept {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const n = ::write(descriptor_, &one, sizeof one);
    }

private:
    int descriptor_;
};

std::shared_ptr<resolved const> name_resolver::lookup::answer() const {
    std::lock_guard const lock(mutex_);
    return answer_;
}

void name_resolver::lookup::notify(int descriptor) {
    auto s = std::make_shared<signal>(descriptor);
    std::lock_guard const lock(mutex_);
    if (answer_) s->raise();
    else signals_.push_back(std::move(s));
}

void name_resolver::lookup::finish(resolved r) {
    std::lock_guard const lock(mutex_);
    *room_ = std::move(r);
    answer_ = std::move(room_);
    for (auto const& s : signals_) s->raise();
    signals_.clear();
}

struct name_resolver::shared {
    shared(function f, std::size_t n) : resolve(std::move(f)), max_threads(n) {}
    function const resolve;
    std::size_t const max_threads;
    std::mutex mutex;
    std::size_t threads = 0;
    std::deque<std::weak_ptr<lookup>> queue;
    std::unordered_map<std::string, std::weak_ptr<lookup>> pending;
};

name_resolver::name_resolver(function f, std::size_t max_threads)
    : shared_(std::make_shared<shared>(std::move(f), max_threads)) {}

std::shared_ptr<name_resolver::lookup> name_resolver::start(std::string const& host) {
    std::lock_guard const lock(shared_->mutex);
    auto& known = shared_->pending[host];
    if (auto l = known.lock()) return l;
    auto l = std::make_shared<lookup>();
    l->host_ = host;
    known = l;
    shared_->queue.push_back(l);
    if (shared_->threads < shared_->max_threads) {
        try {
            std::thread(work, shared_).detach();
            ++shared_->threads;
        } catch (std::exception const&) {
            if (shared_->threads == 0) {
                shared_->queue.pop_back();
                shared_->pending.erase(host);
                throw;
            }
        }
    }
    return l;
}

void name_resolver::work(std::shared_ptr<shared> s) {
    for (;;) {
        std::shared_ptr<lookup> next;
        {
            std::lock_guard const lock(s->mutex);
            while (!next && !s->queue.empty()) {
                next = s->queue.front().lock();  // nothing: nobody waits for it any more
                s->queue.pop_front();
            }
            if (!next) {
                --s->threads;
                std::erase_if(s->pending, [](auto const& p) { return p.second.expired(); });
                return;
            }
        }
        resolved r;
        try {
            r = s->resolve(next->host_);
        } catch (std::exception const& e) {
            r.endpoints.clear();
            r.problem = e.what();
        }
        {
            std::lock_guard const lock(s->mutex);
            s->pending.erase(next->host_);
        }
        next->finish(std::move(r));
    }
}

namespace {

resolved resolve_by_system(std::string const& host) {
    resolved r;
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    int const failed = ::getaddrinfo(host.c_str(), "443", &hints, &found);
    if (failed != 0) {
        r.problem = failed == EAI_SYSTEM ? std::generic_category().message(errno) : ::gai_strerror(failed);
        return r;
    }
    for (auto const* a = found; a != nullptr; a = a->ai_next) {
        asio::ip::tcp::endpoint e;
        if (a->ai_addrlen > e.capacity()) continue;
        std::memcpy(e.data(), a->ai_addr, a->ai_addrlen);
        e.resize(a->ai_addrlen);
        r.endpoints.push_back(e);
    }
    ::freeaddrinfo(found);
    return r;
}

}  // namespace

name_resolver& system_resolver() {
    // Never destroyed: its threads may outlast main.
    static auto* const resolver = new name_resolver(resolve_by_system);
    return *resolver;
}

}  // namespace jirapool::detail
