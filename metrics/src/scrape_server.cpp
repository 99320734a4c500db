#include "scrape_server.hpp"

#include <jirapool/core/secret.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace jirapool::metrics {

namespace {

// A scrape's head has a few hundred bytes.
constexpr std::size_t max_head = 8192;

// When there is no descriptor for a new client: until it is tried again.
constexpr int pause_ms = 100;

bool is_passing(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

failure refused(int error) { return {errc::invalid_argument, std::generic_category().message(error)}; }

}  // namespace

/// One client: asks, is answered, and then may read to the end before its connection is closed.
class scrape_server::client {
public:
    client(descriptor socket, clock::time_point until) noexcept : socket_(std::move(socket)), until_(until) {}

    pollfd waits_for() const noexcept {
        return {socket_.get(), static_cast<short>(out_.empty() ? POLLIN : POLLOUT), 0};
    }
    clock::time_point until() const noexcept { return until_; }
    /// The memory that its answer takes until it is sent.
    std::size_t answer_size() const noexcept { return out_.size(); }

    /// It gets no more of its answer, and its memory is free.
    void let_go() noexcept {
        socket_ = descriptor();
        free_answer();
    }
    bool is_let_go() const noexcept { return socket_.get() < 0; }

    /// Does what can be done without waiting. @return whether there is more to come.
    bool go_on(page_table& pages) {
        if (answered_ && out_.empty()) return still_reads();
        if (!answered_ && !ask(pages)) return false;
        return !answered_ || say();
    }

private:
    bool ask(page_table& pages) {
        char chunk[4096];
        for (;;) {
            auto const n = ::recv(socket_.get(), chunk, sizeof chunk, 0);
            if (n < 0) return is_passing(errno);
            if (n == 0) return false;
            in_.reserve(max_head + sizeof chunk);  // at once, so that a credential in it is in one place
            // A head that ends in the middle of two pieces is found too.
            auto const from = in_.size() < 3 ? 0 : in_.size() - 3;
            in_.append(chunk, static_cast<std::size_t>(n));
            auto const end = in_.find("\r\n\r\n", from);
            if (end == in_.npos && in_.size() < max_head) continue;
            out_ = end == in_.npos ? page_table::answer_to_too_long() : pages.answer(in_);
            wipe(in_);
            in_.shrink_to_fit();
            answered_ = true;
            return true;
        }
    }

    bool say() {
        while (sent_ < out_.size()) {
            auto const n = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
            if (n < 0) return is_passing(errno);
            sent_ += static_cast<std::size_t>(n);
        }
        free_answer();
        ::shutdown(socket_.get(), SHUT_WR);
        return still_reads();
    }

    /// An assigned empty string would keep its memory, for as long as the client takes to close.
    void free_answer() noexcept { std::string().swap(out_); }

    // To close on what the client still says would reset the connection, and might take the answer from it. A piece a turn, so
    // that one who says more and more has no longer turn than others.
    bool still_reads() const noexcept {
        char chunk[4096];
        auto const n = ::recv(socket_.get(), chunk, sizeof chunk, 0);
        return n > 0 || (n < 0 && is_passing(errno));
    }

    descriptor socket_;
    clock::time_point until_;
    std::string in_;
    std::string out_;
    std::size_t sent_ = 0;
    bool answered_ = false;
};

result<std::unique_ptr<scrape_server>> scrape_server::open(listen_address const& a, page_table pages, bounds b) {
    descriptor socket(::socket(a.is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket.get() < 0) return refused(errno);
    int const on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    auto const to = to_system(a);
    if (::bind(socket.get(), reinterpret_cast<sockaddr const*>(&to.storage), to.size) != 0) return refused(errno);
    if (::listen(socket.get(), SOMAXCONN) != 0) return refused(errno);
    descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (wake.get() < 0) return refused(errno);
    try {
        return std::unique_ptr<scrape_server>(new scrape_server(std::move(socket), std::move(wake), std::move(pages),
                                                                b));
    } catch (std::system_error const& e) {  // no thread
        return refused(e.code().value());
    }
}

scrape_server::scrape_server(descriptor listening, descriptor wake, page_table pages, bounds b)
    : listening_(std::move(listening)), wake_(std::move(wake)), pages_(std::move(pages)), bounds_(b) {
    port_ = port_of(listening_.get());
    clients_.reserve(bounds_.clients);
    polled_.reserve(bounds_.clients + 2);
    thread_ = std::thread([this] { run(); });
}

scrape_server::~scrape_server() {
    std::uint64_t const one = 1;
    [[maybe_unused]] auto const n = ::write(wake_.get(), &one, sizeof one);
    thread_.join();
}

void scrape_server::run() noexcept {
    for (;;) {
        try {
            serve();
            return;
        } catch (...) {
            clients_.clear();  // no memory for what they say: those that come get a fresh start
        }
    }
}

/// Until it is told to end.
void scrape_server::serve() {
    bool accepts = true;
    for (;;) {
        polled_.clear();
        polled_.push_back({wake_.get(), POLLIN, 0});
        polled_.push_back({accepts ? listening_.get() : -1, POLLIN, 0});
        auto const now = clock::now();
        auto nearest = now + std::chrono::hours(1);
        for (auto const& c : clients_) {
            polled_.push_back(c.waits_for());
            nearest = std::min(nearest, c.until());
        }
        auto const left = std::chrono::ceil<std::chrono::milliseconds>(nearest - now).count();
        auto const patience = static_cast<int>(std::max(left, std::chrono::milliseconds::rep{0}));
        if (::poll(polled_.data(), polled_.size(), accepts ? patience : std::min(patience, pause_ms)) < 0) continue;
        if (polled_[0].revents != 0) return;

        auto const after = clock::now();
        std::size_t kept = 0;
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            if (polled_[i + 2].revents != 0) {
                if (!clients_[i].go_on(pages_)) clients_[i].let_go();
                // Behind each answer: many may be asked for in one turn.
                keep_within_bounds();
            }
            if (clients_[i].is_let_go() || clients_[i].until() <= after) continue;
            if (kept != i) clients_[kept] = std::move(clients_[i]);
            ++kept;
        }
        clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(kept), clients_.end());
        forget_those_let_go();
        accepts = !accepts || polled_[1].revents == 0 || take_new();
    }
}

/// @return false when there is no descriptor for one.
bool scrape_server::take_new() {
    // One turn's worth: who has been here must not wait for a flood.
    for (std::size_t i = 0; i < bounds_.clients; ++i) {
        descriptor socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (socket.get() < 0) {
            bool const short_of_them = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            return !short_of_them;
        }
        // In the order of their coming, as all have the same time.
        if (clients_.size() == bounds_.clients) clients_.erase(clients_.begin());
        clients_.emplace_back(std::move(socket), clock::now() + bounds_.time);
        // It may have asked already: then it is answered before the next one may displace it.
        if (!clients_.back().go_on(pages_)) clients_.back().let_go();
        keep_within_bounds();
        forget_those_let_go();
    }
    return true;
}

/// Lets those go whose answers have waited the longest, until the rest fits. The newest answer stays, however long.
void scrape_server::keep_within_bounds() {
    std::size_t sum = 0;
    for (auto const& c : clients_) sum += c.answer_size();
    for (auto& c : clients_) {
        auto const size = c.answer_size();
        if (sum <= bounds_.answers || size == sum) return;
        sum -= size;
        if (size != 0) c.let_go();
    }
}

void scrape_server::forget_those_let_go() {
    std::erase_if(clients_, [](client const& c) { return c.is_let_go(); });
}

}  // namespace jirapool::metrics
