#define _GNU_SOURCE 1
#include "CLinux.h"
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

_Static_assert(sizeof(struct culvert_message) == sizeof(struct mmsghdr), "mmsghdr");

int culvert_recvmmsg(int descriptor, struct culvert_message *messages, unsigned int count) {
    return recvmmsg(descriptor, (struct mmsghdr *)messages, count, MSG_DONTWAIT, NULL);
}
int culvert_sendmmsg(int descriptor, struct culvert_message *messages, unsigned int count) {
    return sendmmsg(descriptor, (struct mmsghdr *)messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}
int culvert_unshare_network(void) { return unshare(CLONE_NEWNET); }
int culvert_enter_network(int descriptor) { return setns(descriptor, CLONE_NEWNET); }
int culvert_unshare_mounts(void) {
    return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ? -1 : 0;
}
int culvert_bind_mount(const char *source, const char *target) {
    return mount(source, target, NULL, MS_BIND, NULL);
}
int culvert_name_thread(const char *name) { return pthread_setname_np(pthread_self(), name); }
int culvert_wake_patiently(void) {
    struct sched_param parameters = {0};
    return sched_setscheduler(0, SCHED_BATCH, &parameters);
}
int culvert_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
int culvert_sealable_memory_file(const char *name) {
    return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}
static const int culvert_seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
int culvert_seal(int descriptor) { return fcntl(descriptor, F_ADD_SEALS, culvert_seals); }
int culvert_is_sealed(int descriptor) {
    int seals = fcntl(descriptor, F_GET_SEALS);
    return seals >= 0 && (seals & culvert_seals) == culvert_seals;
}
int culvert_peer_user(int descriptor, unsigned int *user) {
    struct ucred peer;
    socklen_t byte_count = sizeof peer;
    int result = getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &byte_count);
    if (result == 0) *user = peer.uid;
    return result;
}
int culvert_pipe(int *ends) { return pipe2(ends, O_CLOEXEC); }
