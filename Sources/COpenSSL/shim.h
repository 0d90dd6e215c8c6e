#pragma once
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// BIO_get_mem_data and OPENSSL_free are macros that Swift does not import.
static inline long apus_bio_bytes(BIO *bio, char **bytes) { return BIO_ctrl(bio, BIO_CTRL_INFO, 0, bytes); }
static inline void apus_openssl_free(void *memory) { OPENSSL_free(memory); }
