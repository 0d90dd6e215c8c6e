// Watchdog, device mapper, netlink and network interface requests: macros over structures.
#define _GNU_SOURCE
#include "clinux.h"
#include "result.h"

#include <errno.h>
#include <linux/dm-ioctl.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <linux/watchdog.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// --- Watchdog --------------------------------------------------------------------------------------------------------

const uint32_t apus_wdiof_settimeout = WDIOF_SETTIMEOUT, apus_wdiof_magicclose = WDIOF_MAGICCLOSE;

int apus_watchdog_set_timeout(int fd, int seconds, int *granted) {
    *granted = seconds;
    RESULT(ioctl(fd, WDIOC_SETTIMEOUT, granted));
}

int apus_watchdog_get_timeout(int fd, int *seconds) { RESULT(ioctl(fd, WDIOC_GETTIMEOUT, seconds)); }
int apus_watchdog_feed(int fd) { RESULT(ioctl(fd, WDIOC_KEEPALIVE, 0)); }

int apus_watchdog_identity(int fd, char *identity, size_t count, uint32_t *options) {
    struct watchdog_info info;
    memset(&info, 0, sizeof info);
    if (ioctl(fd, WDIOC_GETSUPPORT, &info) < 0) return -errno;
    // The field need not be terminated.
    snprintf(identity, count, "%.*s", (int)sizeof info.identity, (const char *)info.identity);
    *options = info.options;
    return 0;
}

// --- Device mapper -----------------------------------------------------------------------------------------------------

enum { DM_BUFFER_BYTES = 16 << 10 };

static struct dm_ioctl *dm_prepare(void *buffer, const char *name, const char *uuid, uint32_t flags) {
    struct dm_ioctl *request = buffer;
    memset(buffer, 0, DM_BUFFER_BYTES);
    // 4.0 is what every kernel since 2.6 accepts; newer minor numbers only add requests that are not used here.
    request->version[0] = 4;
    request->data_size = DM_BUFFER_BYTES;
    request->data_start = sizeof *request;
    request->flags = flags;
    strncpy(request->name, name, sizeof request->name - 1);
    if (uuid) strncpy(request->uuid, uuid, sizeof request->uuid - 1);
    return request;
}

static int dm_remove(int control, const char *name, void *buffer) {
    struct dm_ioctl *request = dm_prepare(buffer, name, NULL, 0);
    RESULT(ioctl(control, DM_DEV_REMOVE, request));
}

int apus_dm_create(
    int control, const char *name, const char *uuid, uint64_t sectors, const char *target, const char *parameters,
    uint32_t *major_, uint32_t *minor_) {
    size_t needed = sizeof(struct dm_ioctl) + sizeof(struct dm_target_spec) + strlen(parameters) + 1;
    if (needed > DM_BUFFER_BYTES || strlen(name) >= DM_NAME_LEN || (uuid && strlen(uuid) >= DM_UUID_LEN) ||
        strlen(target) >= DM_MAX_TYPE_NAME)
        return -E2BIG;
    void *buffer = malloc(DM_BUFFER_BYTES);
    if (!buffer) return -ENOMEM;

    struct dm_ioctl *request = dm_prepare(buffer, name, uuid, 0);
    int result = ioctl(control, DM_DEV_CREATE, request) < 0 ? -errno : 0;
    if (result) {
        free(buffer);
        return result;
    }
    request = dm_prepare(buffer, name, NULL, DM_READONLY_FLAG);
    request->target_count = 1;
    struct dm_target_spec *spec = (struct dm_target_spec *)((char *)buffer + request->data_start);
    spec->length = sectors;
    strncpy(spec->target_type, target, sizeof spec->target_type - 1);
    strcpy((char *)(spec + 1), parameters);
    if (ioctl(control, DM_TABLE_LOAD, request) < 0) result = -errno;
    if (!result) {
        // Resuming makes the loaded table live.
        request = dm_prepare(buffer, name, NULL, DM_READONLY_FLAG);
        if (ioctl(control, DM_DEV_SUSPEND, request) < 0) result = -errno;
    }
    if (!result) {
        // The kernel's huge encoding of a device number: 12 bits of major between two parts of the minor.
        uint64_t device = request->dev;
        *major_ = (uint32_t)((device >> 8) & 0xfff);
        *minor_ = (uint32_t)((device & 0xff) | ((device >> 12) & 0xfff00));
    } else {
        dm_remove(control, name, buffer);
    }
    free(buffer);
    return result;
}

int apus_dm_remove(int control, const char *name) {
    void *buffer = malloc(DM_BUFFER_BYTES);
    if (!buffer) return -ENOMEM;
    int result = dm_remove(control, name, buffer);
    free(buffer);
    return result;
}

int apus_dm_status(int control, const char *name, char *text, size_t count, uint32_t *major_, uint32_t *minor_) {
    void *buffer = malloc(DM_BUFFER_BYTES);
    if (!buffer) return -ENOMEM;
    struct dm_ioctl *request = dm_prepare(buffer, name, NULL, 0);
    int result = ioctl(control, DM_TABLE_STATUS, request) < 0 ? -errno : 0;
    if (!result && (request->target_count < 1 || (request->flags & DM_BUFFER_FULL_FLAG))) result = -ENODATA;
    if (!result) {
        struct dm_target_spec *spec = (struct dm_target_spec *)((char *)buffer + request->data_start);
        snprintf(text, count, "%s", (const char *)(spec + 1));
        *major_ = (uint32_t)((request->dev >> 8) & 0xfff);
        *minor_ = (uint32_t)((request->dev & 0xff) | ((request->dev >> 12) & 0xfff00));
    }
    free(buffer);
    return result;
}

// --- Sockets -------------------------------------------------------------------------------------------------------------

int apus_uevent_open(int receiveBufferBytes) {
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0) return -errno;
    int on = 1;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1 /* the kernel's own group */};
    // Beyond the system's limit only with CAP_NET_ADMIN; without it the ordinary option does what it may.
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receiveBufferBytes, sizeof receiveBufferBytes) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receiveBufferBytes, sizeof receiveBufferBytes);
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

int64_t apus_uevent_receive(int fd, void *buffer, size_t count) {
    struct sockaddr_nl sender;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec part = {.iov_base = buffer, .iov_len = count};
    struct msghdr message = {
        .msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &part, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof control,
    };
    ssize_t length;
    do { length = recvmsg(fd, &message, MSG_DONTWAIT); } while (length < 0 && errno == EINTR);
    if (length < 0) return -errno;
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) return -EBADMSG;
    // Any process may send to this group's address; only port 0 with the kernel's credentials is the kernel.
    if (sender.nl_pid != 0 || sender.nl_groups != 1) return -EBADMSG;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS) return -EBADMSG;
    struct ucred credentials;
    memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
    if (credentials.pid != 0 || credentials.uid != 0) return -EBADMSG;
    return length;
}

int apus_unix_send(const char *path, const void *bytes, size_t count) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address.sun_path) return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = 0;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '@' ? 0 : 1));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    ssize_t sent;
    do {
        sent = sendto(fd, bytes, count, MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    } while (sent < 0 && errno == EINTR);
    int result = sent < 0 ? -errno : 0;
    close(fd);
    return result;
}

int apus_unix_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address.sun_path) return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    int result = apus_set_nonblocking(fd, 0);
    if (result < 0) {
        close(fd);
        return result;
    }
    return fd;
}

// --- Network interfaces ----------------------------------------------------------------------------------------------------

static int interface_request(const char *interface, unsigned long request, struct ifreq *argument) {
    size_t length = strlen(interface);
    if (length == 0 || length >= IFNAMSIZ) return -ENODEV;
    memcpy(argument->ifr_name, interface, length + 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int result = ioctl(fd, request, argument) < 0 ? -errno : 0;
    close(fd);
    return result;
}

int apus_permanent_address(const char *interface, uint8_t address[6]) {
    // The structure ends in a flexible array, so it is laid out in plain words: command, size, address.
    struct {
        uint32_t command, size;
        uint8_t data[32];
    } permanent = {.command = ETHTOOL_GPERMADDR, .size = sizeof permanent.data};
    struct ifreq request;
    memset(&request, 0, sizeof request);
    request.ifr_data = (void *)&permanent;
    int result = interface_request(interface, SIOCETHTOOL, &request);
    if (result) return result;
    static const uint8_t zero[6];
    if (permanent.size != 6 || memcmp(permanent.data, zero, 6) == 0) return -ENODATA;
    memcpy(address, permanent.data, 6);
    return 0;
}
