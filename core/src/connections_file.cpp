#include <jirapool/core/connections_file.hpp>

#include "json_error.hpp"
#include "utf8.hpp"

#include <jirapool/core/json_text.hpp>
#include <jirapool/core/rate_headers.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <unordered_set>
#include <utility>

namespace jirapool {

namespace {

using namespace std::string_view_literals;
namespace dom = simdjson::dom;

constexpr std::size_t max_secret_file_size = 8 * 1024 + 2;  // the longest secret and a CR LF

// Bytes that may hold secrets, with simdjson's padding behind them: wiped wherever they are let go.
class wiped_bytes {
public:
    wiped_bytes() = default;
    explicit wiped_bytes(std::size_t capacity)
        : data_(std::make_unique_for_overwrite<char[]>(capacity + simdjson::SIMDJSON_PADDING)), capacity_(capacity) {
        zero_padding();
    }
    wiped_bytes(wiped_bytes&& other) noexcept
        : data_(std::move(other.data_)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    wiped_bytes& operator=(wiped_bytes other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    ~wiped_bytes() { wipe(data_.get(), size_); }

    std::string_view view() const noexcept { return {data_.get(), size_}; }
    std::size_t size() const noexcept { return size_; }
    std::size_t room() const noexcept { return capacity_ - size_; }
    char* end() noexcept { return data_.get() + size_; }

    void commit(std::size_t size) noexcept {
        size_ += size;
        zero_padding();
    }

    void grow_to(std::size_t capacity) {
        wiped_bytes larger(capacity);
        if (size_ != 0) std::memcpy(larger.end(), data_.get(), size_);
        larger.commit(size_);
        *this = std::move(larger);
    }

private:
    void zero_padding() noexcept { std::memset(data_.get() + size_, 0, simdjson::SIMDJSON_PADDING); }

    std::unique_ptr<char[]> data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

class open_file {
public:
    explicit open_file(char const* path) noexcept : fd_(::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) {}
    open_file(open_file const&) = delete;
    open_file& operator=(open_file const&) = delete;
    ~open_file() {
        if (fd_ >= 0) ::close(fd_);
    }
    int fd() const noexcept { return fd_; }

private:
    int fd_;
};

failure unreadable(int error) {
    return {errc::unreadable_file, "must be readable: " + std::generic_category().message(error)};
}

failure too_large(std::size_t limit) {
    return {errc::file_too_large, "must be at most " + std::to_string(limit) + " bytes"};
}

// Never holds more than `limit` and one byte, whatever the file's size says: pipes and devices name none, and a file
// can grow while it is read.
result<wiped_bytes> read_at_most(int fd, std::size_t first_capacity, std::size_t limit) {
    wiped_bytes bytes(std::min(first_capacity, limit) + 1);
    while (true) {
        if (bytes.room() == 0) bytes.grow_to(std::min(2 * bytes.size(), limit + 1));
        auto const count = ::read(fd, bytes.end(), bytes.room());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return unreadable(errno);
        if (count == 0) return bytes;
        bytes.commit(static_cast<std::size_t>(count));
        if (bytes.size() > limit) return too_large(limit);
    }
}

result<wiped_bytes> read_file(std::string const& path, std::size_t limit) {
    constexpr std::size_t unknown_size = 4096;

    if (path.find('\0') != std::string::npos) return unreadable(ENOENT);
    open_file const file(path.c_str());
    struct stat info{};
    if (file.fd() < 0 || ::fstat(file.fd(), &info) != 0) return unreadable(errno);
    if (S_ISDIR(info.st_mode)) return unreadable(EISDIR);
    if (!S_ISREG(info.st_mode)) return read_at_most(file.fd(), unknown_size, limit);

    auto const size = static_cast<std::size_t>(info.st_size);
    if (size > limit) return too_large(limit);
    return read_at_most(file.fd(), std::max(size, unknown_size), limit);
}

class system_secret_source final : public secret_source {
public:
    result<secret> from_env(std::string const& name) const override {
        char const* const value = std::getenv(name.c_str());
        if (value == nullptr) return failure(errc::unreadable_file, "names an environment variable that is not set");
        if (*value == '\0') return failure(errc::empty_field, "names an environment variable that is empty");
        return secret(value);
    }

    result<secret> from_file(std::string const& path) const override {
        auto const bytes = read_file(path, max_secret_file_size);
        if (!bytes) return bytes.error();
        auto text = bytes->view();
        if (text.ends_with('\n')) text.remove_suffix(text.ends_with("\r\n"sv) ? 2 : 1);
        if (text.empty()) return failure(errc::empty_field, "names a file that is empty");
        return secret(text);
    }
};

enum class field : std::uint8_t { id, site_url, email, api_key, cloud_id, client_id, client_secret, options };
constexpr std::array field_names = {"id"sv,       "site_url"sv,  "email"sv,        "apiKey"sv,
                                    "cloud_id"sv, "client_id"sv, "clientSecret"sv, "options"sv};
constexpr std::array option_names = {"timeout_ms"sv, "weight"sv, "expires_at"sv};
enum class option : std::uint8_t { timeout_ms, weight, expires_at };

constexpr std::string_view name_of(field f) noexcept { return field_names[static_cast<std::size_t>(f)]; }

failure broken(errc code, std::string_view field, std::string rule) {
    return failure(code, std::move(rule)).with_field(std::string(field));
}

// A name may be a secret that was pasted in the wrong place (the shortest API tokens are 24 letters and digits), or
// break a log.
std::string shown_key(std::string_view key) {
    constexpr std::size_t longest_shown = 20;
    auto const is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    };
    if (!key.empty() && key.size() <= longest_shown && std::all_of(key.begin(), key.end(), is_plain)) {
        return std::string(key);
    }
    return "(a name of " + std::to_string(key.size()) + " bytes)";
}

// The members of an object whose names are known beforehand.
template <std::size_t N>
class members {
public:
    members(dom::object object, std::array<std::string_view, N> const& names) : names_(&names) {
        for (dom::key_value_pair const member : object) take(member);
    }

    std::optional<dom::element> const& operator[](std::size_t i) const noexcept { return found_[i]; }
    bool repeats(std::size_t i) const noexcept { return repeated_ == i; }

    // `prefix` precedes a member's name in the failure's field.
    result<void> check(std::string const& prefix) const {
        if (repeated_) {
            return broken(errc::duplicate_field, prefix + std::string((*names_)[*repeated_]), "must stand only once");
        }
        if (unknown_) return broken(errc::unknown_field, prefix + shown_key(*unknown_), "is unknown: " + known());
        return {};
    }

private:
    void take(dom::key_value_pair const& member) noexcept {
        auto const name = std::find(names_->begin(), names_->end(), member.key);
        auto const i = static_cast<std::size_t>(name - names_->begin());
        if (i == N) {
            if (!unknown_) unknown_ = member.key;
        } else if (found_[i]) {
            if (!repeated_) repeated_ = i;
        } else {
            found_[i] = member.value;
        }
    }

    std::string known() const {
        std::string text = "known are ";
        for (std::size_t i = 0; i < N; ++i) text.append(i == 0 ? "" : ", ").append((*names_)[i]);
        return text;
    }

    std::array<std::string_view, N> const* names_;
    std::array<std::optional<dom::element>, N> found_;
    std::optional<std::size_t> repeated_;
    std::optional<std::string_view> unknown_;
};

using connection_fields = members<field_names.size()>;

bool has(connection_fields const& fields, field f) noexcept { return fields[static_cast<std::size_t>(f)].has_value(); }

dom::element value_of(connection_fields const& fields, field f) noexcept {
    return *fields[static_cast<std::size_t>(f)];
}

result<std::string> read_text(connection_fields const& fields, field f) {
    std::string_view text;
    if (value_of(fields, f).get(text)) return broken(errc::invalid_field, name_of(f), "must be a string");
    return std::string(text);
}

result<secret> find_secret(std::string_view where, std::string_view name, secret_source const& secrets) {
    if (name.empty())
        return failure(errc::empty_field, "must name an environment variable, a file or a provider's secret");
    if (name.find('\0') != std::string_view::npos) return failure(errc::invalid_field, "must name one without a NUL");
    if (where == "env") return secrets.from_env(std::string(name));
    return where == "file" ? secrets.from_file(std::string(name)) : secrets.from_provider(std::string(name));
}

result<secret> read_secret(dom::element value, secret_source const& secrets) {
    std::string_view text;
    if (!value.get(text)) return secret(text);

    failure shape(errc::invalid_field, R"(must be a string, {"env":"NAME"}, {"file":"PATH"} or {"provider":"NAME"})");
    dom::object object;
    if (value.get(object) || object.size() != 1) return shape;
    dom::key_value_pair const member = *object.begin();
    if (member.key != "env" && member.key != "file" && member.key != "provider") return shape;
    if (member.value.get(text)) return shape;
    return find_secret(member.key, text, secrets);
}

result<secret> read_secret(connection_fields const& fields, field f, secret_source const& secrets) {
    auto value = read_secret(value_of(fields, f), secrets);
    if (!value) return std::move(value).error().with_field(std::string(name_of(f)));
    return value;
}

// 0, which the rules of make_connection_config refuse, for what is no whole number or far above every rule.
std::uint32_t read_count(dom::element value) noexcept {
    std::uint64_t number = 0;
    if (value.get(number) || number > std::numeric_limits<std::uint32_t>::max()) return 0;
    return static_cast<std::uint32_t>(number);
}

std::optional<std::chrono::sys_seconds> read_time(dom::element value) {
    std::string_view text;
    if (value.get(text)) return std::nullopt;
    bool const date_alone = text.size() == 10;
    auto const at = parse_iso_time(date_alone ? std::string(text) + "T00:00:00Z" : std::string(text));
    if (!at) return std::nullopt;
    return std::chrono::floor<std::chrono::seconds>(*at);
}

result<connection_options> read_options(connection_fields const& fields) {
    connection_options options;
    if (!has(fields, field::options)) return options;
    dom::object object;
    if (value_of(fields, field::options).get(object)) {
        return broken(errc::invalid_field, "options", "must be an object");
    }
    members const given(object, option_names);
    if (auto ok = given.check("options."); !ok) return std::move(ok).error();

    if (auto const& value = given[static_cast<std::size_t>(option::timeout_ms)]) {
        options.timeout = std::chrono::milliseconds(read_count(*value));
    }
    if (auto const& value = given[static_cast<std::size_t>(option::weight)]) options.weight = read_count(*value);
    if (auto const& value = given[static_cast<std::size_t>(option::expires_at)]) {
        auto const at = read_time(*value);
        if (!at)
            return broken(errc::invalid_field, "options.expires_at",
                          R"(must be a date or time of UTC, as "2027-03-01" or "2027-03-01T12:00:00Z")");
        options.expires_at = *at;
    }
    return options;
}

struct kind_shape {
    connection_kind kind;
    std::span<field const> fields;
    char const* missing;
};

constexpr field personal_fields[] = {field::site_url, field::email, field::api_key};
constexpr field service_token_fields[] = {field::cloud_id, field::api_key};
constexpr field oauth_fields[] = {field::cloud_id, field::client_id, field::client_secret};

constexpr kind_shape personal_shape = {connection_kind::personal_api_token, personal_fields,
                                       "is missing: a personal API token needs site_url, email and apiKey"};
constexpr kind_shape service_token_shape = {connection_kind::service_api_token, service_token_fields,
                                            "is missing: a service account's API token needs cloud_id and apiKey"};
constexpr kind_shape oauth_shape = {
    connection_kind::service_oauth, oauth_fields,
    "is missing: a service account's OAuth client needs cloud_id, client_id and clientSecret"};

result<kind_shape> find_kind(connection_fields const& fields) {
    bool const personal = has(fields, field::site_url) || has(fields, field::email);
    bool const oauth = has(fields, field::client_id) || has(fields, field::client_secret);
    bool const key = has(fields, field::api_key);
    bool const cloud = has(fields, field::cloud_id);

    if (personal && oauth) {
        auto const other = has(fields, field::client_secret) ? field::client_secret : field::client_id;
        return broken(errc::mixed_kinds, name_of(other),
                      "must not be mixed: site_url and email belong to a personal API token, "
                      "client_id and clientSecret to a service account's OAuth client");
    }
    if (personal && cloud) {
        return broken(errc::mixed_kinds, "cloud_id",
                      "must not be mixed: site_url and email belong to a personal API token, "
                      "cloud_id to a service account's API token or OAuth client");
    }
    if (oauth && key) {
        return broken(errc::mixed_kinds, "apiKey",
                      "must not be mixed: apiKey belongs to an API token, "
                      "client_id and clientSecret to a service account's OAuth client");
    }
    if (personal) return personal_shape;
    if (oauth) return oauth_shape;
    if (cloud && key) return service_token_shape;
    if (cloud) {
        return broken(errc::missing_field, "apiKey",
                      "is missing: beside cloud_id a service account needs apiKey, or client_id and clientSecret");
    }
    if (key) {
        return broken(errc::missing_field, "site_url",
                      "is missing: beside apiKey a personal API token needs site_url and email, "
                      "a service account's API token needs cloud_id");
    }
    return broken(errc::missing_field, "apiKey",
                  "is missing: a connection needs site_url, email and apiKey, or cloud_id and apiKey, "
                  "or cloud_id, client_id and clientSecret");
}

result<void> check_complete(connection_fields const& fields, kind_shape const& shape) {
    for (field const f : shape.fields) {
        if (!has(fields, f)) return broken(errc::missing_field, name_of(f), shape.missing);
    }
    return {};
}

result<credential> read_personal_token(connection_fields const& fields, secret_source const& secrets) {
    auto site_url = read_text(fields, field::site_url);
    if (!site_url) return std::move(site_url).error();
    auto email = read_text(fields, field::email);
    if (!email) return std::move(email).error();
    auto key = read_secret(fields, field::api_key, secrets);
    if (!key) return std::move(key).error();
    return credential(personal_api_token(*std::move(site_url), *std::move(email), *std::move(key)));
}

result<credential> read_service_token(connection_fields const& fields, secret_source const& secrets) {
    auto cloud = read_text(fields, field::cloud_id);
    if (!cloud) return std::move(cloud).error();
    auto key = read_secret(fields, field::api_key, secrets);
    if (!key) return std::move(key).error();
    return credential(service_api_token(*std::move(cloud), *std::move(key)));
}

result<credential> read_oauth(connection_fields const& fields, secret_source const& secrets) {
    auto cloud = read_text(fields, field::cloud_id);
    if (!cloud) return std::move(cloud).error();
    auto client_id = read_text(fields, field::client_id);
    if (!client_id) return std::move(client_id).error();
    auto key = read_secret(fields, field::client_secret, secrets);
    if (!key) return std::move(key).error();
    return credential(service_oauth(*std::move(cloud), *std::move(client_id), *std::move(key)));
}

result<credential> read_credential(connection_fields const& fields, secret_source const& secrets) {
    auto const shape = find_kind(fields);
    if (!shape) return shape.error();
    if (auto ok = check_complete(fields, *shape); !ok) return std::move(ok).error();
    switch (shape->kind) {
    case connection_kind::personal_api_token: return read_personal_token(fields, secrets);
    case connection_kind::service_api_token: return read_service_token(fields, secrets);
    case connection_kind::service_oauth: break;
    }
    return read_oauth(fields, secrets);
}

// Reads the elements of the file's array one after the other into a report.
class connections_reader {
public:
    explicit connections_reader(secret_source const& secrets) : secrets_(&secrets) {}

    void read(dom::element element) {
        ++report_.total;
        auto label = "#" + std::to_string(report_.total);
        auto config = read_one(element, label);
        if (config) {
            report_.connections.push_back(*std::move(config));
        } else if (report_.problems.size() < max_reported_problems) {
            report_.problems.push_back(std::move(config).error().with_connection(std::move(label)));
        }
    }

    connections_report take_report() && { return std::move(report_); }

private:
    // Turns `label` into the connection's id once that is known to be usable.
    result<connection_config> read_one(dom::element element, std::string& label) {
        dom::object object;
        if (element.get(object)) return failure(errc::invalid_field, "must be an object");
        connection_fields const fields(object, field_names);

        auto id = read_id(fields);
        if (id) label = *id;
        // Claimed even when the rest is wrong: which of two connections a person meant is not ours to guess.
        bool const unique = id && ids_.insert(*id).second;
        if (auto ok = fields.check(""); !ok) return std::move(ok).error();
        if (!id) return std::move(id).error();
        if (!unique) return broken(errc::duplicate_id, "id", "must be unique: an earlier connection has this id");

        auto c = read_credential(fields, *secrets_);
        if (!c) return std::move(c).error();
        auto const options = read_options(fields);
        if (!options) return options.error();
        return make_connection_config(*std::move(id), *std::move(c), *options);
    }

    static result<std::string> read_id(connection_fields const& fields) {
        if (!has(fields, field::id)) return broken(errc::missing_field, "id", "is missing: every connection needs one");
        if (fields.repeats(static_cast<std::size_t>(field::id))) {
            return broken(errc::duplicate_field, "id", "must stand only once");
        }
        auto id = read_text(fields, field::id);
        if (!id) return id;
        if (char const* rule = why_invalid_connection_id(*id)) {
            return broken(id->empty() ? errc::empty_field : errc::invalid_field, "id", rule);
        }
        return id;
    }

    secret_source const* secrets_;
    connections_report report_;
    std::unordered_set<std::string> ids_;
};

// simdjson copies every string of the document into one buffer of its own.
class wiped_document {
public:
    wiped_document() = default;
    wiped_document(wiped_document const&) = delete;
    wiped_document& operator=(wiped_document const&) = delete;
    ~wiped_document() { wipe(document_.string_buf.get(), string_buffer_size()); }

    dom::document& get() noexcept { return document_; }

private:
    // Not more than dom::document::allocate allocates in 3.0 to 3.12, and at least what it lets strings take.
    std::size_t string_buffer_size() const noexcept {
        return document_.string_buf ? 5 * (document_.capacity() / 3) + simdjson::SIMDJSON_PADDING : 0;
    }

    dom::document document_;
};

// Where a person finds it in an editor: lines and characters count from 1.
std::string position(std::string_view text, std::size_t at) {
    auto const before = text.substr(0, at);
    auto const line = std::count(before.begin(), before.end(), '\n') + 1;
    auto const begin = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
    auto const column = std::count_if(before.begin() + static_cast<std::ptrdiff_t>(begin), before.end(),
                                      [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }) +
                        1;
    return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

failure not_json(simdjson::error_code error, std::string_view text) {
    if (error == simdjson::MEMALLOC) throw std::bad_alloc();
    if (error == simdjson::EMPTY) return {errc::not_json, "must hold a JSON document"};
    auto const found = find_json_error(text);
    auto const where = found.what == nullptr ? std::string() : position(text, found.at) + ": ";
    if (error == simdjson::DEPTH_ERROR) return {errc::not_json, where + "must not be nested that deep"};
    return {errc::not_json, "must be one JSON document: " + where +
                                (found.what == nullptr ? simdjson::error_message(error) : found.what)};
}

result<dom::array> find_connections(dom::element root) {
    failure shape(errc::not_json, R"(must be an array of connections, or an object with only "connections")");
    dom::array connections;
    if (!root.get(connections)) return connections;

    dom::object object;
    if (root.get(object) || object.size() != 1) return shape;
    dom::key_value_pair const member = *object.begin();
    if (member.key != "connections" || member.value.get(connections)) return shape;
    return connections;
}

result<connections_report> parse_bytes(wiped_bytes const& bytes, secret_source const& secrets) {
    if (bytes.size() == 0) return failure(errc::empty_file, "must hold a JSON document");
    auto const text = json_text(bytes.view());
    if (!simdjson::validate_utf8(text.data(), text.size()))
        return failure(errc::not_utf8, "must be UTF-8: " + position(text, first_invalid_utf8(text)) + " is not");

    dom::parser parser;
    wiped_document document;
    dom::element root;
    if (auto const error = parser.parse_into_document(document.get(), text.data(), text.size(), false).get(root)) {
        return not_json(error, text);
    }
    auto const connections = find_connections(root);
    if (!connections) return connections.error();
    connections_reader reader(secrets);
    for (dom::element const element : *connections) reader.read(element);
    return std::move(reader).take_report();
}

}  // namespace

result<secret> secret_source::from_provider(std::string const& /*name*/) const {
    return failure(errc::unreadable_file, "names a provider's secret, and there is no provider");
}

secret_source const& system_secrets() noexcept {
    static system_secret_source const source;
    return source;
}

result<connections_report> parse_connections(std::string_view json, secret_source const& secrets) {
    if (json.size() > max_connections_file_size) return too_large(max_connections_file_size);
    wiped_bytes bytes(json.size());
    if (!json.empty()) std::memcpy(bytes.end(), json.data(), json.size());
    bytes.commit(json.size());
    return parse_bytes(bytes, secrets);
}

result<connections_report> load_connections(std::string const& path, secret_source const& secrets) {
    auto const bytes = read_file(path, max_connections_file_size);
    if (!bytes) return bytes.error();
    return parse_bytes(*bytes, secrets);
}

}  // namespace jirapool
