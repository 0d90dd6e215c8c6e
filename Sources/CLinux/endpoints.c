#define _GNU_SOURCE
#include "endpoints.h"
#include "result.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
};

// The length of what was written, or 0 for an address of no family.
static socklen_t to_name(union name *name, const struct apus_endpoint *endpoint, unsigned scope) {
    memset(name, 0, sizeof *name);
    if (endpoint->length == 4) {
        name->v4.sin_family = AF_INET;
        name->v4.sin_port = htons(endpoint->port);
        memcpy(&name->v4.sin_addr, endpoint->address, 4);
        return sizeof name->v4;
    }
    if (endpoint->length != 16) return 0;
    name->v6.sin6_family = AF_INET6;
    name->v6.sin6_port = htons(endpoint->port);
    name->v6.sin6_scope_id = scope;
    memcpy(&name->v6.sin6_addr, endpoint->address, 16);
    return sizeof name->v6;
}

static void from_name(struct apus_endpoint *endpoint, const struct sockaddr *any) {
    memset(endpoint, 0, sizeof *endpoint);
    if (any->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)any;
        endpoint->length = 4;
        endpoint->port = ntohs(v4->sin_port);
        memcpy(endpoint->address, &v4->sin_addr, 4);
    } else if (any->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)any;
        endpoint->length = 16;
        endpoint->port = ntohs(v6->sin6_port);
        memcpy(endpoint->address, &v6->sin6_addr, 16);
    }
}

static int open_socket(int stream, int family) {
    RESULT(socket(family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

static int close_with(int fd, int error) {
    close(fd);
    return -error;
}

int apus_endpoint_listen(int stream, const struct apus_endpoint *at, const char *interface) {
    union name name;
    socklen_t length = to_name(&name, at, 0);
    if (length == 0) return -EINVAL;
    int fd = open_socket(stream, name.any.sa_family);
    if (fd < 0) return fd;
    int on = 1, room = 32 << 10;
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        // For version 6 too: ip(7), IP_FREEBIND.
        setsockopt(fd, SOL_IP, IP_FREEBIND, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) < 0 || bind(fd, &name.any, length) < 0 ||
        (stream && listen(fd, 8) < 0))
        return close_with(fd, errno);
    return fd;
}

int apus_endpoint_connect(int stream, const struct apus_endpoint *to, const char *zone) {
    unsigned scope = zone ? if_nametoindex(zone) : 0;
    if (zone && scope == 0) return -errno;
    union name name;
    socklen_t length = to_name(&name, to, scope);
    if (length == 0) return -EINVAL;
    int fd = open_socket(stream, name.any.sa_family);
    if (fd < 0) return fd;
    if (connect(fd, &name.any, length) < 0 && errno != EINPROGRESS) return close_with(fd, errno);
    return fd;
}

int apus_endpoint_accept(int fd, struct apus_endpoint *peer) {
    union name name;
    socklen_t length = sizeof name;
    int new;
    do { new = accept4(fd, &name.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK); } while (new < 0 && errno == EINTR);
    if (new < 0) return -errno;
    from_name(peer, &name.any);
    int on = 1;
    setsockopt(new, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return new;
}

int64_t apus_endpoint_receive(int fd, void *buffer, size_t count, struct apus_endpoint *peer) {
    union name name;
    memset(&name, 0, sizeof name);
    socklen_t length = sizeof name;
    ssize_t got;
    do { got = recvfrom(fd, buffer, count, 0, &name.any, &length); } while (got < 0 && errno == EINTR);
    if (got < 0) return -errno;
    from_name(peer, &name.any);
    return got;
}

int64_t apus_endpoint_send(int fd, const void *bytes, size_t count, const struct apus_endpoint *peer) {
    union name name;
    socklen_t length = peer ? to_name(&name, peer, 0) : 0;
    if (peer && length == 0) return -EINVAL;
    RESULT(sendto(fd, bytes, count, MSG_NOSIGNAL, peer ? &name.any : NULL, length));
}

int apus_own_addresses(struct apus_endpoint *found, int limit) {
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0) return -errno;
    int count = 0;
    for (const struct ifaddrs *next = all; next != NULL && count < limit; next = next->ifa_next) {
        if (!next->ifa_addr) continue;
        struct apus_endpoint endpoint;
        from_name(&endpoint, next->ifa_addr);
        if (endpoint.length > 0) found[count++] = endpoint;
    }
    freeifaddrs(all);
    return count;
}
