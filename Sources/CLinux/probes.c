#define _GNU_SOURCE
#include "clinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_within(const struct addrinfo *address, int timeout_milliseconds) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int result = 0;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        result = -errno;
        if (result == -EINPROGRESS) {
            struct pollfd waiting = {.fd = fd, .events = POLLOUT};
            int ready = poll(&waiting, 1, timeout_milliseconds);
            int error = ETIMEDOUT;
            socklen_t length = sizeof error;
            if (ready > 0)
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
            result = -error;
        }
    }
    close(fd);
    return result;
}

int apus_probe_tcp(const char *host, int port, int timeout_milliseconds) {
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0)
        return -1000 - (error < 0 ? -error : error);
    int result = -EHOSTUNREACH;
    int tries = 0;
    for (const struct addrinfo *next = found; next != NULL && tries < 4; next = next->ai_next, tries++) {
        result = connect_within(next, timeout_milliseconds);
        if (result == 0)
            break;
    }
    freeaddrinfo(found);
    return result;
}

int apus_touch_ipv4(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
        return -EINVAL;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    ssize_t sent = sendto(fd, "", 0, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address);
    int result = sent < 0 ? -errno : 0;
    close(fd);
    return result;
}
