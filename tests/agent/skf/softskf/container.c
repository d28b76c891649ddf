#include "softskf.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ULONG check_container(const Container *container) {
    if (container == NULL || container->magic != CONTAINER_MAGIC) return SAR_INVALIDHANDLEERR;
    return check_application(container->application);
}

SKF_EXPORT SKF_EnumContainer(HAPPLICATION handle, LPSTR names, ULONG *size) {
    char list[4096], path[PATH_SIZE];
    SKF_ENTER("EnumContainer");
    ULONG code = check_application(handle);
    if (code != SAR_OK) return code;
    if (!join(path, ((Application *)handle)->path, "containers")) return SAR_FAIL;
    size_t length = list_directories(path, list, sizeof list, NULL);
    return give_list("EnumContainer", list, length, names, size);
}

SKF_EXPORT SKF_OpenContainer(HAPPLICATION handle, LPSTR name, HCONTAINER *out) {
    char directory[PATH_SIZE];
    SKF_ENTER("OpenContainer");
    ULONG code = check_application(handle);
    if (code != SAR_OK) return code;
    if (!safe_name(name) || out == NULL) return SAR_INVALIDPARAMERR;
    if (fails_for("OpenContainer", name)) return SAR_FAIL;
    Container *container = calloc(1, sizeof *container);
    if (container == NULL) return SAR_FAIL;
    container->magic = CONTAINER_MAGIC;
    container->application = handle;
    if (!join(directory, container->application->path, "containers") || !join(container->path, directory, name)) {
        free(container);
        return SAR_FAIL;
    }
    *out = container;
    return SAR_OK;
}

SKF_EXPORT SKF_CloseContainer(HCONTAINER handle) {
    SKF_ENTER("CloseContainer");
    Container *container = handle;
    if (container == NULL || container->magic != CONTAINER_MAGIC) return SAR_INVALIDHANDLEERR;
    container->magic = 0;
    free(container);
    return SAR_OK;
}

static EVP_PKEY *load_key(const Container *container, bool signing) {
    char path[PATH_SIZE];
    if (!join(path, container->path, signing ? "sign.key" : "enc.key")) return NULL;
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file != NULL ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (file != NULL) fclose(file);
    return key;
}

SKF_EXPORT SKF_GetContainerType(HCONTAINER handle, ULONG *type) {
    SKF_ENTER("GetContainerType");
    ULONG code = check_container(handle);
    if (code != SAR_OK || type == NULL) return code != SAR_OK ? code : SAR_INVALIDPARAMERR;
    EVP_PKEY *key = load_key(handle, true);
    *type = key == NULL ? CONTAINER_NONE : EVP_PKEY_is_a(key, "RSA") ? CONTAINER_RSA : CONTAINER_ECC;
    EVP_PKEY_free(key);
    return SAR_OK;
}

/* Faults: nothing-fails (SAR_FAIL where no certificate is), nothing-ok (SAR_OK and no octets there), null-crash, null-refused, wrong-length (claims 2 GiB), short (half of it), noise (random bytes of the right length). */
SKF_EXPORT SKF_ExportCertificate(HCONTAINER handle, BOOL signing, BYTE *out, ULONG *size) {
    char path[PATH_SIZE];
    size_t length = 0;
    SKF_ENTER("ExportCertificate");
    ULONG code = check_container(handle);
    if (code != SAR_OK || size == NULL) return code != SAR_OK ? code : SAR_INVALIDPARAMERR;
    if (!join(path, ((Container *)handle)->path, signing ? "sign.crt" : "enc.crt")) return SAR_FAIL;
    if (out == NULL && fault("ExportCertificate", "null-crash")) *(volatile int *)8 = 1;
    if (out == NULL && fault("ExportCertificate", "null-refused")) return SAR_INVALIDPARAMERR;
    unsigned char *bytes = read_whole(path, &length);
    if (bytes == NULL && fault("ExportCertificate", "nothing-fails")) return SAR_FAIL;
    if (bytes == NULL && fault("ExportCertificate", "nothing-ok")) return *size = 0, SAR_OK;
    if (bytes == NULL) return SAR_CERTNOTFOUNDERR;
    if (fault("ExportCertificate", "short")) length /= 2;
    if (fault("ExportCertificate", "noise")) for (size_t at = 0; at < length; at++) bytes[at] = (unsigned char)rand();
    if (out != NULL && *size < length) code = SAR_BUFFER_TOO_SMALL;
    else if (out != NULL) memcpy(out, bytes, length);
    *size = fault("ExportCertificate", "wrong-length") ? 0x7FFFFFF0 : (ULONG)length;
    free(bytes);
    return code;
}

SKF_EXPORT SKF_ExportPublicKey(HCONTAINER handle, BOOL signing, BYTE *out, ULONG *size) {
    SKF_ENTER("ExportPublicKey");
    ULONG code = check_container(handle);
    if (code != SAR_OK || size == NULL) return code != SAR_OK ? code : SAR_INVALIDPARAMERR;
    EVP_PKEY *key = load_key(handle, signing);
    if (key == NULL) return SAR_KEYNOTFOUNDERR;
    bool rsa = EVP_PKEY_is_a(key, "RSA");
    ULONG needed = rsa ? sizeof(RSAPUBLICKEYBLOB) : sizeof(ECCPUBLICKEYBLOB);
    BIGNUM *first = NULL, *second = NULL;
    if (out != NULL && *size < needed) code = SAR_BUFFER_TOO_SMALL;
    else if (out != NULL && rsa) {
        RSAPUBLICKEYBLOB *blob = memset(out, 0, needed);
        blob->AlgID = SGD_RSA, blob->BitLen = (ULONG)EVP_PKEY_get_bits(key);
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &first);
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &second);
        if (BN_bn2binpad(first, blob->Modulus, 256) < 0 || BN_bn2binpad(second, blob->PublicExponent, 4) < 0) code = SAR_FAIL;
    } else if (out != NULL) {
        ECCPUBLICKEYBLOB *blob = memset(out, 0, needed);
        blob->BitLen = 256;
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &first);
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &second);
        if (BN_bn2binpad(first, blob->XCoordinate, 64) < 0 || BN_bn2binpad(second, blob->YCoordinate, 64) < 0) code = SAR_FAIL;
    }
    *size = needed;
    BN_free(first), BN_free(second), EVP_PKEY_free(key);
    return code;
}

/* The private-key operation on bytes as they come: SM2 over e, or PKCS#1 v1.5 padding around the data for RSA. */
static ULONG private_operation(const Container *container, const char *type, const BYTE *data, size_t length, BYTE *out, size_t *out_length) {
    if (!logged_in(container->application)) return SAR_USER_NOT_LOGGED_IN;
    EVP_PKEY *key = load_key(container, true);
    if (key == NULL) return SAR_KEYNOTFOUNDERR;
    EVP_PKEY_CTX *context = EVP_PKEY_is_a(key, type) ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    bool done = context != NULL && EVP_PKEY_sign_init(context) == 1 && EVP_PKEY_sign(context, out, out_length, data, length) == 1;
    ULONG code = done ? SAR_OK : context == NULL ? SAR_KEYUSAGEERR : SAR_FAIL;
    EVP_PKEY_CTX_free(context), EVP_PKEY_free(key);
    return code;
}

/* Faults: wrong-signature, zero (r = s = 0), left-aligned (32-byte values at the start of their 64-byte fields). */
SKF_EXPORT SKF_ECCSignData(HCONTAINER handle, BYTE *data, ULONG length, ECCSIGNATUREBLOB *out) {
    BYTE der[128];
    size_t der_length = sizeof der;
    SKF_ENTER("ECCSignData");
    ULONG code = check_container(handle);
    if (code != SAR_OK || data == NULL || out == NULL) return code != SAR_OK ? code : SAR_INVALIDPARAMERR;
    if (length != 32) return SAR_INDATALENERR;
    code = private_operation(handle, "SM2", data, 32, der, &der_length);
    if (code != SAR_OK) return code;
    const BYTE *at = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)der_length);
    if (signature == NULL) return SAR_FAIL;
    memset(out, 0, sizeof *out);
    size_t shift = fault("ECCSignData", "left-aligned") ? 0 : 32;
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), out->r + shift, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), out->s + shift, 32);
    if (fault("ECCSignData", "wrong-signature")) out->s[shift + 31] ^= 1;
    if (fault("ECCSignData", "zero")) memset(out, 0, sizeof *out);
    ECDSA_SIG_free(signature);
    return SAR_OK;
}

static const BYTE SHA256_INFO[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

/* Faults: adds-digest-info (takes a bare SHA-256 and wraps it itself; refuses another length), wrong-signature, wrong-length. */
SKF_EXPORT SKF_RSASignData(HCONTAINER handle, BYTE *data, ULONG length, BYTE *out, ULONG *size) {
    BYTE wrapped[64], signature[512];
    size_t signature_length = sizeof signature;
    SKF_ENTER("RSASignData");
    ULONG code = check_container(handle);
    if (code != SAR_OK || data == NULL || size == NULL) return code != SAR_OK ? code : SAR_INVALIDPARAMERR;
    if (length == 0 || length > 245) return SAR_INDATALENERR;
    const BYTE *input = data;
    size_t input_length = (size_t)length;
    if (fault("RSASignData", "adds-digest-info")) {
        if (length != 32) return SAR_INDATALENERR;
        memcpy(wrapped, SHA256_INFO, sizeof SHA256_INFO), memcpy(wrapped + sizeof SHA256_INFO, data, 32);
        input = wrapped, input_length = sizeof SHA256_INFO + 32;
    }
    code = private_operation(handle, "RSA", input, input_length, signature, &signature_length);
    if (code != SAR_OK) return code;
    if (fault("RSASignData", "wrong-signature")) signature[signature_length - 1] ^= 1;
    if (out != NULL && *size < signature_length) code = SAR_BUFFER_TOO_SMALL;
    else if (out != NULL) memcpy(out, signature, signature_length);
    *size = fault("RSASignData", "wrong-length") ? 0x7FFFFFF0 : (ULONG)signature_length;
    return code;
}
