#pragma once
#include <curl/curl.h>

// Swift cannot call variadic functions, and curl_easy_setopt and curl_easy_getinfo are macros over variadic ones:
// one inline function per argument type, and constants that curl defines as macros with casts.

static inline CURLcode apus_curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode apus_curl_set_size(CURL *handle, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode apus_curl_set_text(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode apus_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode apus_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(handle, option, value);
}

// libcurl copies the bytes.
static inline CURLcode apus_curl_set_blob(CURL *handle, CURLoption option, const void *bytes, size_t count) {
    struct curl_blob blob = {.data = (void *)bytes, .len = count, .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(handle, option, &blob);
}

typedef size_t (*apus_curl_data_callback)(char *bytes, size_t size, size_t count, void *context);
typedef int (*apus_curl_progress_callback)(void *context, curl_off_t downloadTotal, curl_off_t downloaded,
                                           curl_off_t uploadTotal, curl_off_t uploaded);

static inline CURLcode apus_curl_set_data_callback(CURL *handle, CURLoption option, apus_curl_data_callback value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode apus_curl_set_progress_callback(CURL *handle, apus_curl_progress_callback value) {
    return curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, value);
}

static inline CURLcode apus_curl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}

// libcurl before 7.85 (Ubuntu 22.04) knows the bit mask only.
static inline CURLcode apus_curl_allow_protocols(CURL *handle, int plainHTTP) {
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, plainHTTP ? "http,https" : "https");
#else
    return curl_easy_setopt(handle, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTPS | (plainHTTP ? CURLPROTO_HTTP : 0)));
#endif
}

static inline CURLcode apus_curl_require_http11_tls12(CURL *handle) {
    CURLcode code = curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    return code != CURLE_OK ? code : curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static const size_t apus_curl_reader_abort = CURL_READFUNC_ABORT;
static const size_t apus_curl_error_size = CURL_ERROR_SIZE;
