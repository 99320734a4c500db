#include <jirapool/core/error.hpp>

#include <optional>
#include <string>

namespace jirapool {

namespace {

struct errc_text {
    char const* name;
    char const* sentence;
};

// No default label: the compiler names the errc that has no text.
constexpr errc_text text_of(errc e) noexcept {
    switch (e) {
    case errc::unreadable_file:
        return {"unreadable_file", "the file, or a secret's file, environment variable or provider, could not be read"};
    case errc::empty_file: return {"empty_file", "the file is empty"};
    case errc::file_too_large: return {"file_too_large", "the file is too large"};
    case errc::not_utf8: return {"not_utf8", "the text is not valid UTF-8"};
    case errc::not_json: return {"not_json", "the text is not one JSON document of the documented shape"};
    case errc::missing_field: return {"missing_field", "a field that this kind of connection needs is missing"};
    case errc::empty_field: return {"empty_field", "a field is empty"};
    case errc::unknown_field: return {"unknown_field", "a field is unknown"};
    case errc::mixed_kinds: return {"mixed_kinds", "fields of two kinds of connection are mixed"};
    case errc::invalid_field: return {"invalid_field", "a field breaks its rule"};
    case errc::duplicate_field: return {"duplicate_field", "a field stands twice in one object"};
    case errc::duplicate_id: return {"duplicate_id", "another connection has this id already"};

    case errc::invalid_target: return {"invalid_target", "the request's target is not a path below the connection's"};
    case errc::invalid_header: return {"invalid_header", "a header is malformed or set by the library itself"};
    case errc::body_not_allowed: return {"body_not_allowed", "a GET or HEAD request must not have a body"};
    case errc::unsupported_for_kind: return {"unsupported_for_kind", "this kind of connection cannot do that"};
    case errc::invalid_argument: return {"invalid_argument", "an argument breaks its rule"};

    case errc::timeout: return {"timeout", "the call's deadline or a limit of its stage passed"};
    case errc::cancelled: return {"cancelled", "the caller cancelled the call"};
    case errc::stopped: return {"stopped", "the client is stopping"};
    case errc::connection_removed: return {"connection_removed", "the connection was removed"};
    case errc::limited_past_deadline:
        return {"limited_past_deadline", "a limit stays closed until after the call's deadline; nothing was sent"};
    case errc::queue_full: return {"queue_full", "too many calls are waiting"};
    case errc::credential_refused: return {"credential_refused", "the credential is refused"};
    case errc::token_unavailable: return {"token_unavailable", "no access token could be had in time"};
    case errc::anonymous_answer: return {"anonymous_answer", "Jira ignored the credential and answered as to anybody"};

    case errc::sink_failed: return {"sink_failed", "the sink of the answer's body failed"};
    case errc::source_failed: return {"source_failed", "the source of the request's body failed"};

    case errc::resolve_failed: return {"resolve_failed", "the host's name could not be resolved"};
    case errc::connect_failed: return {"connect_failed", "no address of the host accepted a connection"};
    case errc::tls_failed: return {"tls_failed", "the TLS handshake failed"};
    case errc::certificate_refused:
        return {"certificate_refused", "the server's certificate is not valid for the host"};
    case errc::channel_lost: return {"channel_lost", "the transport ended before the answer was whole"};
    case errc::protocol_error: return {"protocol_error", "the answer is not valid HTTP"};
    case errc::response_too_large: return {"response_too_large", "the answer is larger than the configured limit"};

    case errc::webhook_refused: return {"webhook_refused", "Jira refused the webhook request"};
    }
    return {"unknown", "an unknown error of jirapool"};
}

// No default label here either: a new errc must be given its advice, or none, on purpose.
constexpr std::optional<advice> advice_for(errc e) noexcept {
    switch (e) {
    case errc::unreadable_file:
    case errc::empty_file:
    case errc::file_too_large:
    case errc::not_utf8:
    case errc::not_json:
    case errc::missing_field:
    case errc::empty_field:
    case errc::unknown_field:
    case errc::mixed_kinds:
    case errc::invalid_field:
    case errc::duplicate_field:
    case errc::duplicate_id: return advice::fix_configuration;

    case errc::invalid_target:
    case errc::invalid_header:
    case errc::body_not_allowed:
    case errc::unsupported_for_kind:
    case errc::invalid_argument: return advice::fix_request;

    case errc::credential_refused:
    case errc::anonymous_answer: return advice::reauthorize;

    // For a write that timed out or lost its channel, failure::maybe_processed says whether Jira may have acted.
    case errc::timeout:
    case errc::limited_past_deadline:
    case errc::queue_full:
    case errc::token_unavailable:
    case errc::resolve_failed:
    case errc::connect_failed:
    case errc::tls_failed:
    case errc::channel_lost: return advice::retryable;

    // The caller's own doing, or an answer that time alone will not change.
    case errc::cancelled:
    case errc::stopped:
    case errc::connection_removed:
    case errc::sink_failed:
    case errc::source_failed:
    case errc::certificate_refused:
    case errc::protocol_error:
    case errc::response_too_large:
    case errc::webhook_refused: return std::nullopt;
    }
    return std::nullopt;
}

constexpr char const* sentence_of(advice a) noexcept {
    switch (a) {
    case advice::fix_configuration: return "a person must change the configuration";
    case advice::fix_request: return "the same request can never work";
    case advice::reauthorize: return "a new secret is needed";
    case advice::retryable: return "the same call may work later";
    }
    return "unknown advice";
}

class jirapool_error_category final : public error_category {
public:
    constexpr jirapool_error_category() noexcept : error_category(0x6a697261706f6f6cULL) {}

    char const* name() const noexcept override { return "jirapool"; }
    std::string message(int value) const override { return text_of(static_cast<errc>(value)).sentence; }
    char const* message(int value, char*, std::size_t) const noexcept override {
        return text_of(static_cast<errc>(value)).sentence;
    }
};

class jirapool_advice_category final : public error_category {
public:
    constexpr jirapool_advice_category() noexcept : error_category(0x6a706f6f6c616476ULL) {}

    char const* name() const noexcept override { return "jirapool.advice"; }
    std::string message(int value) const override { return sentence_of(static_cast<advice>(value)); }
    char const* message(int value, char*, std::size_t) const noexcept override {
        return sentence_of(static_cast<advice>(value));
    }
    bool equivalent(error_code const& code, int condition) const noexcept override {
        return code.category() == jirapool_category() &&
               advice_for(static_cast<errc>(code.value())) == static_cast<advice>(condition);
    }
};

constexpr jirapool_error_category the_jirapool_category;
constexpr jirapool_advice_category the_advice_category;

}  // namespace

char const* to_string(errc e) noexcept { return text_of(e).name; }

error_category const& jirapool_category() noexcept { return the_jirapool_category; }
error_category const& advice_category() noexcept { return the_advice_category; }

}  // namespace jirapool
