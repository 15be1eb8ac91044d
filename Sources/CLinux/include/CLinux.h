/// Headers and function-like macros that Swift's Glibc module does not show. No logic.
///
/// Feature-test macros must not be set here: the types that both modules see would differ. What
/// needs them is wrapped in CLinux.c.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

// Requests of <linux/if_tun.h>, which are computed by macros.
static const unsigned long culvert_TUNSETIFF = TUNSETIFF;
static const unsigned long culvert_TUNGETIFF = TUNGETIFF;
static const unsigned long culvert_TUNSETOFFLOAD = TUNSETOFFLOAD;
static const unsigned long culvert_TUNSETVNETHDRSZ = TUNSETVNETHDRSZ;

// Variadic functions.
static inline int culvert_ioctl_pointer(int descriptor, unsigned long request, void *argument) {
    return ioctl(descriptor, request, argument);
}
static inline int culvert_ioctl_value(int descriptor, unsigned long request, unsigned long value) {
    return ioctl(descriptor, request, value);
}
static inline int culvert_open(const char *path, int flags, mode_t mode) {
    return open(path, flags, mode);
}

/// struct mmsghdr.
struct culvert_message {
    struct msghdr header;
    unsigned int byte_count;
};
int culvert_recvmmsg(int descriptor, struct culvert_message *messages, unsigned int count);
int culvert_sendmmsg(int descriptor, struct culvert_message *messages, unsigned int count);
int culvert_unshare_network(void);
int culvert_enter_network(int descriptor);
int culvert_unshare_mounts(void);
int culvert_bind_mount(const char *source, const char *target);
int culvert_name_thread(const char *name);
int culvert_wake_patiently(void);
int culvert_memory_file(const char *name);
int culvert_sealable_memory_file(const char *name);
int culvert_seal(int descriptor);
int culvert_is_sealed(int descriptor);
int culvert_peer_user(int descriptor, unsigned int *user);
int culvert_pipe(int *ends);

// In <linux/udp.h>, which clashes with <netinet/udp.h>.
static const int32_t culvert_UDP_SEGMENT = 103;
static const int32_t culvert_UDP_GRO = 104;
// In <linux/if_tun.h> since Linux 6.2.
static const uint32_t culvert_TUN_F_USO4 = 0x20;
static const uint32_t culvert_TUN_F_USO6 = 0x40;
// In <netinet/in.h> for GNU sources only.
static const int32_t culvert_IPV6_RECVPKTINFO = 49;
static const int32_t culvert_IPV6_PKTINFO = 50;
// In <sys/socket.h> for GNU sources only.
static const int32_t culvert_SOL_NETLINK = 270;
