#include "certificate.hpp"

#include "files.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace jirapool::mock {
namespace {

template <auto Free>
struct deleter {
    template <class T>
    void operator()(T* p) const noexcept {
        Free(p);
    }
};
using key_ptr = std::unique_ptr<EVP_PKEY, deleter<EVP_PKEY_free>>;
using x509_ptr = std::unique_ptr<X509, deleter<X509_free>>;
using bio_ptr = std::unique_ptr<BIO, deleter<BIO_free_all>>;
using extension_ptr = std::unique_ptr<X509_EXTENSION, deleter<X509_EXTENSION_free>>;

void require(bool ok, char const* step) {
    if (ok) return;
    std::string text = std::string("cannot make certificates: ") + step;
    if (unsigned long const code = ERR_get_error()) {
        char reason[256];
        ERR_error_string_n(code, reason, sizeof reason);
        text = text + ": " + reason;
    }
    // The rest of the queue would be taken for the reason of what fails next in this thread.
    ERR_clear_error();
    throw std::runtime_error(text);
}

key_ptr make_key() {
    key_ptr key(EVP_EC_gen("P-256"));
    require(key != nullptr, "key");
    return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, char const* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    extension_ptr const extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
    require(extension != nullptr, value);
    require(X509_add_ext(certificate, extension.get(), -1) == 1, value);
}

x509_ptr make_blank(char const* common_name, EVP_PKEY* key, wall_time now) {
    x509_ptr certificate(X509_new());
    require(certificate != nullptr, "certificate");
    require(X509_set_version(certificate.get(), X509_VERSION_3) == 1, "version");
    unsigned char serial[16];
    require(RAND_bytes(serial, sizeof serial) == 1, "serial number");
    // Positive, and never 0.
    serial[0] = static_cast<unsigned char>((serial[0] & 0x3f) | 0x40);
    std::unique_ptr<BIGNUM, deleter<BN_free>> const number(BN_bin2bn(serial, sizeof serial, nullptr));
    require(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())), "serial number");
    std::time_t const at = std::chrono::system_clock::to_time_t(now);
    require(X509_time_adj_ex(X509_getm_notBefore(certificate.get()), -1, 0, const_cast<std::time_t*>(&at)) &&
                X509_time_adj_ex(X509_getm_notAfter(certificate.get()), 365, 0, const_cast<std::time_t*>(&at)),
            "dates");
    require(X509_set_pubkey(certificate.get(), key) == 1, "public key");
    X509_NAME* const name = X509_get_subject_name(certificate.get());
    require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<unsigned char const*>(common_name),
                                       -1, -1, 0) == 1,
            "name");
    return certificate;
}

std::string take_text(BIO* bio) {
    char* data = nullptr;
    long const size = BIO_get_mem_data(bio, &data);
    require(size > 0, "PEM");
    return std::string(data, static_cast<std::size_t>(size));
}

std::string to_pem(X509* certificate) {
    bio_ptr const bio(BIO_new(BIO_s_mem()));
    require(bio && PEM_write_bio_X509(bio.get(), certificate) == 1, "PEM");
    return take_text(bio.get());
}

std::string to_pem(EVP_PKEY* key) {
    bio_ptr const bio(BIO_new(BIO_s_mem()));
    require(bio && PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1, "PEM");
    return take_text(bio.get());
}

struct authority {
    x509_ptr certificate;
    key_ptr key;
};

/// Else OpenSSL would ask the terminal for the password of an encrypted key.
int no_password(char*, int, int, void*) { return -1; }

authority read_authority(std::string const& pem, wall_time now) {
    auto const source = [&pem] { return bio_ptr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); };
    authority ca;
    bio_ptr const first = source();
    require(first != nullptr, "PEM");
    ca.certificate.reset(PEM_read_bio_X509(first.get(), nullptr, no_password, nullptr));
    require(ca.certificate != nullptr, "no certificate of an authority");
    // From the beginning: either may come first.
    bio_ptr const second = source();
    require(second != nullptr, "PEM");
    ca.key.reset(PEM_read_bio_PrivateKey(second.get(), nullptr, no_password, nullptr));
    require(ca.key != nullptr, "no private key of the authority");
    require(X509_check_private_key(ca.certificate.get(), ca.key.get()) == 1, "the key is not the certificate's");
    require(X509_check_ca(ca.certificate.get()) == 1, "the certificate is not an authority's");
    std::time_t at = std::chrono::system_clock::to_time_t(now);
    require(X509_cmp_time(X509_get0_notAfter(ca.certificate.get()), &at) > 0, "the authority has expired");
    return ca;
}

}  // namespace

std::string make_authority(wall_time now) {
    key_ptr const key = make_key();
    x509_ptr const ca = make_blank("jirapool-mock test CA", key.get(), now);
    require(X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get())) == 1, "issuer");
    add_extension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(ca.get(), ca.get(), NID_subject_key_identifier, "hash");
    require(X509_sign(ca.get(), key.get(), EVP_sha256()) != 0, "signature");
    return to_pem(ca.get()) + to_pem(key.get());
}

certificates make_certificates(std::string const& authority_pem, wall_time now) {
    authority const ca = read_authority(authority_pem, now);
    X509* const issuer = ca.certificate.get();
    key_ptr const leaf_key = make_key();
    x509_ptr const leaf = make_blank("*.atlassian.net", leaf_key.get(), now);
    require(X509_set_issuer_name(leaf.get(), X509_get_subject_name(issuer)) == 1, "issuer");
    add_extension(leaf.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(leaf.get(), issuer, NID_key_usage, "critical,digitalSignature");
    add_extension(leaf.get(), issuer, NID_ext_key_usage, "serverAuth");
    add_extension(leaf.get(), issuer, NID_subject_key_identifier, "hash");
    add_extension(leaf.get(), issuer, NID_authority_key_identifier, "keyid:always");
    add_extension(leaf.get(), issuer, NID_subject_alt_name,
                  "DNS:*.atlassian.net,DNS:api.atlassian.com,DNS:auth.atlassian.com");
    require(X509_sign(leaf.get(), ca.key.get(), EVP_sha256()) != 0, "signature");

    certificates out;
    out.ca = to_pem(issuer);
    out.leaf = to_pem(leaf.get());
    out.private_key = to_pem(leaf_key.get());
    return out;
}

certificates make_certificates_from_file(std::string const& file, wall_time now) {
    if (file.empty()) return make_certificates(make_authority(now), now);
    // Far above what certificate and key need.
    constexpr std::size_t most = 64 * 1024;
    auto kept = read_file(file, most);
    if (!kept) {
        std::string made = make_authority(now);
        // Another mock that starts at the same time may be the first: then it is that one's.
        kept = create_file(file, made, 0600) ? std::move(made) : read_file(file, most);
    }
    try {
        return make_certificates(kept.value_or(std::string()), now);
    } catch (std::runtime_error const& e) {
        throw std::runtime_error(fmt::format("{}: {}", file, e.what()));
    }
}

}  // namespace jirapool::mock
