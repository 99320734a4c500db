#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace jirapool::wire_test {

struct x509_deleter {
    void operator()(X509* p) const noexcept { X509_free(p); }
};
struct key_deleter {
    void operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }
};

/// A certificate with its key, and whatever stands between it and its root.
struct identity {
    std::shared_ptr<X509> certificate;
    std::shared_ptr<EVP_PKEY> key;
    std::vector<std::shared_ptr<X509>> chain;

    std::string pem() const {
        std::unique_ptr<BIO, decltype(&BIO_free_all)> const bio(BIO_new(BIO_s_mem()), BIO_free_all);
        PEM_write_bio_X509(bio.get(), certificate.get());
        char* data = nullptr;
        auto const size = BIO_get_mem_data(bio.get(), &data);
        return std::string(data, static_cast<std::size_t>(size));
    }
};

/// What is to be wrong, or right, with a certificate.
struct certificate_plan {
    std::string name = "test";
    std::string alt_names = {};  ///< "DNS:a.example,IP:127.0.0.1"; empty: none
    int from_days = -1;
    int to_days = 30;
    bool authority = false;
};

inline identity make_certificate(certificate_plan const& plan, identity const* issuer = nullptr) {
    auto const require = [](bool ok) {
        if (!ok) throw std::runtime_error("cannot make a certificate");
    };
    static long serial = 1;
    identity made;
    made.key = std::shared_ptr<EVP_PKEY>(EVP_EC_gen("P-256"), key_deleter());
    made.certificate = std::shared_ptr<X509>(X509_new(), x509_deleter());
    auto* const c = made.certificate.get();
    require(made.key && c != nullptr);
    auto* const from = issuer != nullptr ? issuer->certificate.get() : c;
    constexpr long day = 24 * 3600;
    require(X509_set_version(c, X509_VERSION_3) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial) == 1);
    require(X509_gmtime_adj(X509_getm_notBefore(c), plan.from_days * day) != nullptr);
    require(X509_gmtime_adj(X509_getm_notAfter(c), plan.to_days * day) != nullptr);
    require(X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_UTF8,
                                       reinterpret_cast<unsigned char const*>(plan.name.c_str()), -1, -1, 0) == 1);
    require(X509_set_issuer_name(c, X509_get_subject_name(from)) == 1 && X509_set_pubkey(c, made.key.get()) == 1);
    auto const extend = [&](int nid, char const* value) {
        X509V3_CTX context;
        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, from, c, nullptr, nullptr, 0);
        std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> const e(
            X509V3_EXT_conf_nid(nullptr, &context, nid, value), X509_EXTENSION_free);
        require(e != nullptr && X509_add_ext(c, e.get(), -1) == 1);
    };
    extend(NID_basic_constraints, plan.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(NID_subject_key_identifier, "hash");
    if (!plan.alt_names.empty()) extend(NID_subject_alt_name, plan.alt_names.c_str());
    require(X509_sign(c, issuer != nullptr ? issuer->key.get() : made.key.get(), EVP_sha256()) != 0);
    if (issuer != nullptr && !issuer->chain.empty()) made.chain = issuer->chain;
    if (issuer != nullptr && X509_NAME_cmp(X509_get_subject_name(from), X509_get_issuer_name(from)) != 0)
        made.chain.insert(made.chain.begin(), issuer->certificate);
    return made;
}

}  // namespace jirapool::wire_test
