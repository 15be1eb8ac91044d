#pragma once
// What Swift cannot say of cryptography: libcrypto's headers, and libipsec-mb, which is looked for
// at run time so that it stays optional.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Whether libipsec-mb is there and this processor has AVX-512, without which it is no gain.
///
/// Makes the calling thread's manager: a manager belongs to one thread, so each thread gets its own
/// at its first call and gives it back when it ends.
bool culvert_multibuffer_available(void);

/// ChaCha20-Poly1305 (RFC 8439) without additional data over `count` bytes, by the calling thread's
/// manager; in place when `from == to`. `tag` receives the 16 bytes that belong to the ciphertext;
/// when opening the caller compares them. False: nothing was done, there is no manager.
bool culvert_multibuffer_chacha20poly1305(bool seal, const uint8_t *key, const uint8_t *nonce,
                                          const uint8_t *from, uint8_t *to, size_t count,
                                          uint8_t *tag);
