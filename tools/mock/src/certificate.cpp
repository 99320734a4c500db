#include "certificate.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>

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
    char reason[256] = "unknown reason";
    if (unsigned long const code = ERR_get_error()) ERR_error_string_n(code, reason, sizeof reason);
    throw std::runtime_error(std::string("cannot make certificates: ") + step + ": " + reason);
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

}  // namespace

certificates make_certificates(wall_time now) {
    key_ptr const ca_key = make_key();
    x509_ptr const ca = make_blank("jirapool-mock test CA", ca_key.get(), now);
    require(X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get())) == 1, "issuer");
    add_extension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(ca.get(), ca.get(), NID_subject_key_identifier, "hash");
    require(X509_sign(ca.get(), ca_key.get(), EVP_sha256()) != 0, "signature");

    key_ptr const leaf_key = make_key();
    x509_ptr const leaf = make_blank("*.atlassian.net", leaf_key.get(), now);
    require(X509_set_issuer_name(leaf.get(), X509_get_subject_name(ca.get())) == 1, "issuer");
    add_extension(leaf.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE");
    add_extension(leaf.get(), ca.get(), NID_key_usage, "critical,digitalSignature");
    add_extension(leaf.get(), ca.get(), NID_ext_key_usage, "serverAuth");
    add_extension(leaf.get(), ca.get(), NID_subject_key_identifier, "hash");
    add_extension(leaf.get(), ca.get(), NID_authority_key_identifier, "keyid:always");
    add_extension(leaf.get(), ca.get(), NID_subject_alt_name,
                  "DNS:*.atlassian.net,DNS:api.atlassian.com,DNS:auth.atlassian.com");
    require(X509_sign(leaf.get(), ca_key.get(), EVP_sha256()) != 0, "signature");

    certificates out;
    out.ca = to_pem(ca.get());
    out.leaf = to_pem(leaf.get());
    bio_ptr const bio(BIO_new(BIO_s_mem()));
    require(bio && PEM_write_bio_PrivateKey(bio.get(), leaf_key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
            "PEM");
    out.private_key = take_text(bio.get());
    return out;
}

}  // namespace jirapool::mock
