// TCP sockets and poll(2) for many of them: macros, casts between address structures, and unshare(2).
#define _GNU_SOURCE
#include "sockets.h"
#include "result.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
};

int apus_listen_tcp(const char *text, int port, int backlog) {
    union address address;
    memset(&address, 0, sizeof address);
    socklen_t length;
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons((uint16_t)port);
        length = sizeof address.v4;
    } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons((uint16_t)port);
        length = sizeof address.v6;
    } else {
        return -EINVAL;
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &address.any, length) < 0 || listen(fd, backlog) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int apus_socket_port(int fd) {
    union address address;
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) < 0) return -errno;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

int apus_accept(int fd, char *peer, size_t count) {
    union address address;
    socklen_t length = sizeof address;
    int new;
    do { new = accept4(fd, &address.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK); } while (new < 0 && errno == EINTR);
    if (new < 0) return -errno;
    int on = 1;
    // Replies are whole when they are sent: waiting for more would only delay them.
    setsockopt(new, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const char *shown = NULL;
    if (address.any.sa_family == AF_INET) {
        shown = inet_ntop(AF_INET, &address.v4.sin_addr, peer, (socklen_t)count);
    } else if (address.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr)) {
        shown = inet_ntop(AF_INET, &address.v6.sin6_addr.s6_addr[12], peer, (socklen_t)count);
    } else if (address.any.sa_family == AF_INET6) {
        shown = inet_ntop(AF_INET6, &address.v6.sin6_addr, peer, (socklen_t)count);
    }
    if (!shown && count > 0) peer[0] = 0;
    return new;
}

int64_t apus_send(int fd, const void *bytes, size_t count) { RESULT(send(fd, bytes, count, MSG_NOSIGNAL)); }

int apus_end_sending(int fd) { RESULT(shutdown(fd, SHUT_WR)); }

int apus_poll_many(const int *fds, const uint8_t *wanted, uint8_t *ready, int count, int timeout_milliseconds) {
    struct pollfd *polled = calloc((size_t)(count > 0 ? count : 1), sizeof *polled);
    if (!polled) return -ENOMEM;
    for (int i = 0; i < count; i++) {
        polled[i].fd = fds[i];
        polled[i].events = (short)((wanted[i] & APUS_READABLE ? POLLIN : 0) | (wanted[i] & APUS_WRITABLE ? POLLOUT : 0));
    }
    int result = poll(polled, (nfds_t)count, timeout_milliseconds);
    // A signal ends the wait as its time does.
    if (result < 0) result = errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        short seen = result > 0 ? polled[i].revents : 0;
        ready[i] = (uint8_t)((seen & POLLIN ? APUS_READABLE : 0) | (seen & POLLOUT ? APUS_WRITABLE : 0) |
                             (seen & (POLLERR | POLLHUP | POLLNVAL) ? APUS_BROKEN : 0));
    }
    free(polled);
    return result;
}

int apus_new_network(void) {
    if (unshare(CLONE_NEWNET) < 0) return -errno;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, "lo");
    int result = ioctl(fd, SIOCGIFFLAGS, &request) < 0 ? -errno : 0;
    request.ifr_flags |= IFF_UP;
    if (!result && ioctl(fd, SIOCSIFFLAGS, &request) < 0) result = -errno;
    close(fd);
    return result;
}
