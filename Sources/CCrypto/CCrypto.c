#include "CCrypto.h"

#if defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)
#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t managers;
static IMB_MGR *(*allocate_manager)(uint64_t);
static void (*start_manager)(IMB_MGR *, IMB_ARCH *);
static void (*free_manager)(IMB_MGR *);

static _Thread_local IMB_MGR *manager;
static _Thread_local bool looked;

static void end_of_thread(void *value) { free_manager(value); }

static void open_library(void) {
    void *library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    allocate_manager = (IMB_MGR * (*)(uint64_t)) dlsym(library, "alloc_mb_mgr");
    start_manager = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(library, "init_mb_mgr_auto");
    free_manager = (void (*)(IMB_MGR *))dlsym(library, "free_mb_mgr");
    bool whole = allocate_manager && start_manager && free_manager;
    if (!whole || pthread_key_create(&managers, end_of_thread) != 0) allocate_manager = NULL;
}

bool culvert_multibuffer_available(void) {
    if (looked) return manager != NULL;
    looked = true;
    pthread_once(&once, open_library);
    IMB_MGR *made = allocate_manager ? allocate_manager(0) : NULL;
    if (!made) return false;
    IMB_ARCH architecture = IMB_ARCH_NONE;
    start_manager(made, &architecture);
    if (architecture < IMB_ARCH_AVX512 || pthread_setspecific(managers, made) != 0) {
        free_manager(made);
        return false;
    }
    manager = made;
    return true;
}

bool culvert_multibuffer_chacha20poly1305(bool seal, const uint8_t *key, const uint8_t *nonce,
                                          const uint8_t *from, uint8_t *to, size_t count,
                                          uint8_t *tag) {
    if (!culvert_multibuffer_available()) return false;
    IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
    memset(job, 0, sizeof *job);
    job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->enc_keys = job->dec_keys = key;
    job->key_len_in_bytes = 32;
    job->iv = nonce;
    job->iv_len_in_bytes = 12;
    job->src = from;
    job->dst = to;
    job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = count;
    job->u.CHACHA20_POLY1305.aad = nonce;  // its length is 0
    job->auth_tag_output = tag;
    job->auth_tag_output_len_in_bytes = 16;
    IMB_SUBMIT_JOB_NOCHECK(manager);  // a job of this mode is complete when submitted
    return true;
}

#else

bool culvert_multibuffer_available(void) { return false; }

bool culvert_multibuffer_chacha20poly1305(bool seal, const uint8_t *key, const uint8_t *nonce,
                                          const uint8_t *from, uint8_t *to, size_t count,
                                          uint8_t *tag) {
    (void)seal, (void)key, (void)nonce, (void)from, (void)to, (void)count, (void)tag;
    return false;
}

#endif
