#include "wire/ares_resolver.hpp"

#include "wait/handler_memory.hpp"
#include "wait/wait_point.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <ares.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

namespace jirapool::detail {

using namespace std::chrono_literals;
using asio::ip::tcp;

namespace {

// c-ares looks at its clock this often while names are asked for: how exactly it sends a question again matters little.
constexpr auto tick = 50ms;
constexpr auto no_tick = std::chrono::hours(24);
// Of a flood, the rest waits for the shard's next turn.
constexpr unsigned packets_per_turn = 64;
constexpr auto file_check_interval = 1s;

/// The outcome of a status other than success. ARES_ENOTFOUND and ARES_ENODATA are the zone's word, all else is the servers' trouble.
void explain(int status, resolved& r) noexcept {
    r.how = resolved::outcome::failed;
    switch (status) {
    case ARES_ENOTFOUND:
        r.how = resolved::outcome::no_address;
        r.problem = "the name does not exist";
        return;
    case ARES_ENODATA:
    case ARES_ENONAME:
        r.how = resolved::outcome::no_address;
        r.problem = "the name has no address";
        return;
    case ARES_ETIMEOUT: r.how = resolved::outcome::timeout; return;
    case ARES_ESERVFAIL: r.problem = "the name servers failed (SERVFAIL)"; return;
    case ARES_EREFUSED: r.problem = "the name servers refused the question (REFUSED)"; return;
    // For c-ares 1.18 also what all of them answered with SERVFAIL or REFUSED.
    case ARES_ECONNREFUSED: r.problem = "no name server could be reached, or each of them failed"; return;
    case ARES_EBADRESP:
    case ARES_EFORMERR:
    case ARES_ENOTIMP: r.problem = "the name servers' answer cannot be used"; return;
    case ARES_EBADNAME: r.problem = "this is no name"; return;
    case ARES_ENOMEM: r.problem = "not enough memory"; return;
    default: r.problem = ares_strerror(status); return;
    }
}

std::size_t server_count(ares_channel channel) noexcept {
    std::size_t n = 0;
#if ARES_VERSION >= 0x011800
    char* const all = ares_get_servers_csv(channel);
    if (all == nullptr) return 1;
    n = static_cast<std::size_t>(std::count(all, all + std::strlen(all), ',')) + 1;
    ares_free_string(all);
#else
    ares_addr_node* all = nullptr;
    if (ares_get_servers(channel, &all) != ARES_SUCCESS) return 1;
    for (auto const* s = all; s != nullptr; s = s->next) ++n;
    ares_free_data(all);
#endif
    return std::max<std::size_t>(n, 1);
}

}  // namespace

/// One name that is asked for, or its answer; of one or more who wait.
class ares_resolver::lookup {
public:
    lookup(ares_resolver& r, std::string const& h) : owner(r), host(h) {}
    ares_resolver& owner;
    std::string const host;
    std::vector<wait_point*> waiters;
    resolved answer;
    bool ended = false;
    lookup* next_ended = nullptr;

    class waiting {
    public:
        waiting(std::shared_ptr<lookup> l, wait_point& p) : lookup_(std::move(l)), point_(p) {
            lookup_->waiters.push_back(&point_);
        }
        ~waiting() { std::erase(lookup_->waiters, &point_); }
        waiting(waiting const&) = delete;
        waiting& operator=(waiting const&) = delete;

    private:
        std::shared_ptr<lookup> lookup_;
        wait_point& point_;
    };
};

/** The one descriptor that the shard waits for: an epoll of c-ares's sockets, so that these come and go without Asio. The handler
    that waits may outlive the resolver. */
class ares_resolver::readiness {
public:
    readiness(asio::any_io_executor ex, ares_resolver& r) : descriptor(std::move(ex)), owner(&r) {}

    static void wait(std::shared_ptr<readiness> const& self) {
        self->descriptor.async_wait(asio::posix::stream_descriptor::wait_read, handler(self));
    }

    asio::posix::stream_descriptor descriptor;
    ares_resolver* owner;

private:
    class handler {
    public:
        using allocator_type = handler_allocator<>;
        explicit handler(std::shared_ptr<readiness> r) noexcept : readiness_(std::move(r)) {}
        allocator_type get_allocator() const noexcept { return allocator_type(readiness_->memory_); }
        void operator()(boost::system::error_code ec) {
            auto const r = readiness_;
            if (ec || r->owner == nullptr) return;
            r->owner->on_ready();
            wait(r);
        }

    private:
        std::shared_ptr<readiness> readiness_;
    };

    handler_memory memory_;
};

/// What c-ares calls. Nothing leaves them by exception, and nobody is resumed in them: c-ares is on the stack.
struct ares_resolver::callbacks {
    static void on_answer(void* arg, int status, int, ares_addrinfo* found) noexcept {
        auto& l = *static_cast<lookup*>(arg);
        // The channel goes: with the shard, or for one that follows resolv.conf and is asked next.
        if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) return;
        if (status == ARES_SUCCESS) keep(found, l.owner.settings_.origin_port, l.answer);
        else explain(status, l.answer);
        if (found != nullptr) ares_freeaddrinfo(found);
        l.ended = true;
        l.next_ended = std::exchange(l.owner.ended_, &l);
    }

    static void keep(ares_addrinfo const* found, std::uint16_t port, resolved& r) noexcept {
        try {
            for (auto const* a = found->nodes; a != nullptr; a = a->ai_next) {
                tcp::endpoint e;
                if (a->ai_addr == nullptr || a->ai_addrlen > e.capacity()) continue;
                std::memcpy(e.data(), a->ai_addr, a->ai_addrlen);
                e.resize(a->ai_addrlen);
                e.port(port);
                r.endpoints.push_back(e);
            }
            if (r.endpoints.empty()) explain(ARES_ENODATA, r);
            else r.how = resolved::outcome::found;
        } catch (std::exception const&) {
            r.endpoints.clear();
            explain(ARES_ENOMEM, r);
        }
    }

    static void on_socket(void* arg, ares_socket_t s, int readable, int writable) noexcept {
        auto const& self = *static_cast<ares_resolver*>(arg);
        int const watch = self.ready_->descriptor.native_handle();
        epoll_event e{};
        e.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
        e.data.fd = s;
        if (e.events == 0) ::epoll_ctl(watch, EPOLL_CTL_DEL, s, nullptr);
        else if (::epoll_ctl(watch, EPOLL_CTL_ADD, s, &e) != 0) ::epoll_ctl(watch, EPOLL_CTL_MOD, s, &e);
        // One that cannot be watched is a server that is silent.
    }

    static ares_socket_t open_socket(int family, int type, int protocol, void*) noexcept {
        return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    }
    static int close_socket(ares_socket_t s, void*) noexcept { return ::close(s); }
    static int connect(ares_socket_t s, sockaddr const* to, ares_socklen_t size, void*) noexcept {
        return ::connect(s, to, size);
    }
    static ares_ssize_t receive(ares_socket_t s, void* to, std::size_t size, int flags, sockaddr* from,
                                ares_socklen_t* from_size, void* arg) noexcept {
        auto& left = static_cast<ares_resolver*>(arg)->packets_;
        if (left == 0) {
            errno = EWOULDBLOCK;
            return -1;
        }
        --left;
        auto const n = ::recvfrom(s, to, size, flags, from, from_size);
        // Only a datagram is asked for its sender. An empty one is none, and not the connection's end (CVE-2023-32067).
        if (n == 0 && from != nullptr) {
            errno = EWOULDBLOCK;
            return -1;
        }
        return n;
    }
    static ares_ssize_t send(ares_socket_t s, iovec const* pieces, int count, void*) noexcept {
        msghdr m{};
        m.msg_iov = const_cast<iovec*>(pieces);
        m.msg_iovlen = static_cast<std::size_t>(count);
        return ::sendmsg(s, &m, MSG_NOSIGNAL);
    }
};

ares_socket_functions const ares_resolver::socket_functions = {callbacks::open_socket, callbacks::close_socket,
                                                               callbacks::connect, callbacks::receive, callbacks::send};

ares_resolver::ares_resolver(asio::any_io_executor ex, timers& t, settings s)
    : executor_(std::move(ex)), timers_(t), settings_(std::move(s)), room_(t, *this) {}

ares_resolver::~ares_resolver() { close(); }

asio::awaitable<resolved> ares_resolver::resolve(std::string host, steady_time deadline) {
    resolved r;
    r.how = resolved::outcome::cancelled;
    if (timers_.stopped()) co_return r;
    if (!lookups_.contains(host) && lookups_.size() >= settings_.max_lookups) {
        r.how = resolved::outcome::failed;
        r.problem = "too many names are being resolved";
        co_return r;
    }
    auto const l = start(host);
    if (!l) {
        r.how = resolved::outcome::failed;
        r.problem = "no name server can be asked: no descriptor, no memory, or a resolv.conf that cannot be read";
        co_return r;
    }
    wait_point done(timers_, executor_);
    lookup::waiting const registered(l, done);
    wake w = wake::notified;
    while (!l->ended && w == wake::notified) w = co_await done.wait(deadline);
    if (l->ended) r = l->answer;
    else if (w == wake::timeout) r.how = resolved::outcome::timeout;
    co_return r;
}

/// The lookup of a name, under way or just ended. Null: none can begin.
std::shared_ptr<ares_resolver::lookup> ares_resolver::start(std::string const& host) {
    if (auto const known = lookups_.find(host); known != lookups_.end()) return known->second;
    if (!open()) return nullptr;
    auto l = std::make_shared<lookup>(*this, host);
    lookups_.emplace(host, l);
    // Whoever comes while others are under way must not put off the tick of these.
    if (lookups_.size() == 1) timers_.set(*this, timers_.now() + tick);
    ask(*l);
    tell_ended();
    return l;
}

void ares_resolver::ask(lookup& l) noexcept {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(channel_, l.host.c_str(), nullptr, &hints, callbacks::on_answer, &l);
}

bool ares_resolver::open() {
    if (!ready_) {
        static int const initialized = ares_library_init(ARES_LIB_INIT_ALL);
        if (initialized != ARES_SUCCESS) return false;
        auto fresh = std::make_shared<readiness>(executor_, *this);
        int const watch = ::epoll_create1(EPOLL_CLOEXEC);
        if (watch < 0) return false;
        boost::system::error_code ec;
        fresh->descriptor.assign(watch, ec);
        if (ec) {
            ::close(watch);
            return false;
        }
        readiness::wait(fresh);
        ready_ = std::move(fresh);
        // From now on, so that it hears of the shard's end.
        timers_.set(*this, timers_.now() + no_tick);
    }
    reload();
    return channel_ != nullptr;
}

/// Looks whether there is a new resolv.conf: whoever mends a dead name server writes one, and no restart must be needed then.
void ares_resolver::reload() {
    auto const now = timers_.now();
    if (channel_ != nullptr && now < look_at_file_) return;
    look_at_file_ = now + file_check_interval;
    file_stamp stamp;
    struct stat file{};
    if (::stat(settings_.resolv_conf.c_str(), &file) == 0) stamp = {file.st_ino, file.st_size, file.st_mtim};
    if (channel_ != nullptr && stamp == stamp_) return;
    auto* const fresh = make_channel();
    if (fresh == nullptr) return;
    stamp_ = stamp;
    auto* const old = std::exchange(channel_, fresh);
    if (old == nullptr) return;
    ares_destroy(old);
    for (auto const& [host, l] : lookups_)
        if (!l->ended) ask(*l);
    tell_ended();
}

ares_channeldata* ares_resolver::make_channel() noexcept {
    ares_options o{};
    // Hosts are whole names. A search list would ask for them in other people's domains.
    o.flags = ARES_FLAG_NOSEARCH;
    o.ndomains = 0;
    o.tries = 1;
    o.timeout = static_cast<int>(settings_.timeout.count());
    o.udp_port = o.tcp_port = settings_.port;
    o.sock_state_cb = callbacks::on_socket;
    o.sock_state_cb_data = this;
    o.resolvconf_path = const_cast<char*>(settings_.resolv_conf.c_str());
    int mask = ARES_OPT_FLAGS | ARES_OPT_DOMAINS | ARES_OPT_TRIES | ARES_OPT_TIMEOUTMS | ARES_OPT_UDP_PORT |
               ARES_OPT_TCP_PORT | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
#ifdef ARES_OPT_QUERY_CACHE
    // Each dial asks anew. Without a cache of ours, as DNS's are near and dials are rare.
    o.qcache_max_ttl = 0;
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    ares_channel made = nullptr;
    if (ares_init_options(&made, &o, mask) != ARES_SUCCESS) return nullptr;
    // Once more, now that it is known how many servers share the time: all are asked, and each time for twice as long.
    auto const servers = server_count(made);
    ares_destroy(made);
    o.tries = servers == 1 ? 3 : 2;
    auto const shares = static_cast<std::int64_t>(servers) * ((1 << o.tries) - 1);
    o.timeout = static_cast<int>(std::clamp<std::int64_t>(settings_.timeout.count() * 9 / 10 / shares, 1, 60'000));
    if (ares_init_options(&made, &o, mask) != ARES_SUCCESS) return nullptr;
    ares_set_socket_functions(made, &socket_functions, this);
    return made;
}

void ares_resolver::close() noexcept {
    timers_.cancel(*this);
    // Those who wait are woken, or destroyed, by the timers. The answers that come from in here say nothing.
    if (channel_ != nullptr) ares_destroy(std::exchange(channel_, nullptr));
    ended_ = nullptr;
    lookups_.clear();
    if (!ready_) return;
    ready_->owner = nullptr;
    boost::system::error_code ignored;
    ready_->descriptor.close(ignored);
    ready_.reset();
}

void ares_resolver::on_ready() {
    packets_ = packets_per_turn;
    epoll_event events[16];
    int const n = ::epoll_wait(ready_->descriptor.native_handle(), events, 16, 0);
    for (int i = 0; i < n; ++i) {
        auto const& e = events[i];
        bool const readable = (e.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
        bool const writable = (e.events & EPOLLOUT) != 0;
        ares_process_fd(channel_, readable ? e.data.fd : ARES_SOCKET_BAD, writable ? e.data.fd : ARES_SOCKET_BAD);
    }
    tell_ended();
}

void ares_resolver::on_time() {
    if (channel_ != nullptr) ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    tell_ended();
    timers_.set(*this, timers_.now() + (lookups_.empty() ? steady_duration(no_tick) : steady_duration(tick)));
}

void ares_resolver::tell_ended() noexcept {
    while (ended_ != nullptr) {
        auto* const l = std::exchange(ended_, ended_->next_ended);
        auto const held = lookups_.extract(l->host);
        for (auto* const w : l->waiters) w->notify();
    }
}

}  // namespace jirapool::detail
