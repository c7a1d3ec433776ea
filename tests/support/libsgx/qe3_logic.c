/* Stands in for libsgx_qe3_logic.so: the exports of DCAP, with the signatures of sgx_ql_core_wrapper.h.
   WITHOUT_OPTIONAL and WITHOUT_GET_QUOTE leave exports out, as older or foreign libraries do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>

#include "oracle.h"

enum {
    AESM_ADDR_SEEN = 1,   /* SGX_AESM_ADDR was set when this library was loaded */
    PCE_IS_GLOBAL = 2,    /* libsgx_pce_logic's symbols can be seen from here */
    PERSISTENT = 4,       /* the load policy was set, to persistent */
    REFRESH = 8,          /* the bool, as one byte */
    NO_PROVIDER = 16,     /* no quote provider library could be loaded */
    WITH_INFO = 32,       /* a qe_report_info was passed */
    LISTENED = 64         /* a trace callback was set */
};
enum { KEY = 158, TARGET = 512, REPORT = 432, INFO = 960, PUB_KEY_ID = 32 };

typedef void (*log_callback)(int, const char *);

static uint8_t reply[REPLY_ROOM];
static uint32_t standing_flags;
static char provider_path[260];

__attribute__((constructor)) static void loaded(void)
{
    if (getenv("SGX_AESM_ADDR") != NULL)
        standing_flags |= AESM_ADDR_SEEN;
}

static uint32_t flags(void)
{
    uint32_t (*pce)(void) = (uint32_t(*)(void))dlsym(RTLD_DEFAULT, "sgx_pce_get_target");
    return standing_flags | (pce != NULL && pce() == 0 ? PCE_IS_GLOBAL : 0);
}

/* As DCAP does it: the provider is opened and closed around each call. */
static uint32_t ask_provider(uint32_t *more)
{
    const char *names[] = {provider_path, "libdcap_quoteprov.so.1", "libdcap_quoteprov.so"};
    void *handle = NULL;
    uint32_t status;
    for (size_t i = provider_path[0] ? 0 : 1; handle == NULL && i < 3; i++)
        handle = dlopen(names[i], RTLD_LAZY);
    if (handle == NULL) {
        *more |= NO_PROVIDER;
        return 0;
    }
    status = ((uint32_t(*)(const void *, void **))dlsym(handle, "sgx_ql_get_quote_config"))(NULL, NULL);
    dlclose(handle);
    return status;
}

uint32_t sgx_ql_init_quote(const uint8_t *key, uint8_t *target, bool refresh, size_t *size, uint8_t *pub_key_id)
{
    uint32_t got = 0, status, more = refresh ? REFRESH : 0;
    if (size == NULL || (pub_key_id != NULL && target == NULL))
        return 0xE002;
    if (pub_key_id == NULL) {
        status = ask('i', flags() | more, key, KEY, reply, &got);
        if (status == 0 && got == 8)
            memcpy(size, reply, 8);
        return status;
    }
    if ((status = ask_provider(&more)) != 0)
        return status;
    status = ask('I', flags() | more, key, KEY, reply, &got);
    if (status == 0 && got == 8 + TARGET + PUB_KEY_ID) {
        memcpy(size, reply, 8);
        memcpy(target, reply + 8, TARGET);
        memcpy(pub_key_id, reply + 8 + TARGET, PUB_KEY_ID);
    }
    return status;
}

uint32_t sgx_ql_get_quote_size(const uint8_t *key, uint32_t *size)
{
    uint32_t got = 0, more = 0, status = ask_provider(&more);
    if (status != 0)
        return status;
    status = ask('S', flags() | more, key, KEY, reply, &got);
    if (status == 0 && got == 4)
        memcpy(size, reply, 4);
    return status;
}

#ifndef WITHOUT_GET_QUOTE
/* The reply: the quote's size (32 bits), the quote, and qe_report_info where one was passed. */
uint32_t sgx_ql_get_quote(const uint8_t *report, const uint8_t *key, uint8_t *info, uint8_t *quote, uint32_t room)
{
    static uint8_t request[4 + REPORT + KEY + INFO];
    uint32_t got = 0, more = info ? WITH_INFO : 0, size, status = ask_provider(&more);
    if (status != 0)
        return status;
    memcpy(request, &room, 4);
    memcpy(request + 4, report, REPORT);
    memcpy(request + 4 + REPORT, key, KEY);
    if (info)
        memcpy(request + 4 + REPORT + KEY, info, INFO);
    status = ask('Q', flags() | more, request, 4 + REPORT + KEY + (info ? INFO : 0), reply, &got);
    if (status != 0)
        return status;
    memcpy(&size, reply, 4);
    if (size > room)
        return 0xE002;
    memcpy(quote, reply + 4, size);
    if (info)
        memcpy(info, reply + 4 + size, INFO);
    return 0;
}
#endif

#ifndef WITHOUT_OPTIONAL
static uint32_t set_path(const char *what, const char *path)
{
    uint32_t got;
    char text[512];
    strcpy(text, what);
    strncat(text, path, sizeof text - 5);
    return ask('P', flags(), text, (uint32_t)strlen(text), reply, &got);
}

uint32_t sgx_set_qe3_path(const char *path)
{
    return set_path("qe ", path);
}

uint32_t sgx_set_qpl_path(const char *path)
{
    strncpy(provider_path, path, sizeof provider_path - 1);
    return set_path("qpl ", path);
}

uint32_t sgx_ql_set_enclave_load_policy(int policy)
{
    if (policy != 0)
        return 0xE00C;
    standing_flags |= PERSISTENT;
    return 0;
}

uint32_t sgx_ql_set_trace_callback(log_callback callback, int level)
{
    if (callback != NULL && level == 0)
        standing_flags |= LISTENED;
    return 0;
}
#endif
