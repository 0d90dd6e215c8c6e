// Sockets that know an address by its bytes and may be tied to one interface. Casts between address structures and the
// socket options are macros and unions that Swift does not import. No socket here ever blocks.
#pragma once
#include <stddef.h>
#include <stdint.h>

// An address of 4 or 16 bytes in network order, and a port.
struct apus_endpoint {
    uint8_t address[16];
    uint8_t length;
    uint16_t port;
};

// A socket that takes what comes to an address through one interface and no other (SO_BINDTODEVICE), TCP where `stream`
// is not 0. The address need not be there yet.
int apus_endpoint_listen(int stream, const struct apus_endpoint *at, const char *interface);
// A socket that speaks with one other, and hears nobody else; the kernel chooses its port. `zone` names the interface of
// a link-local address, or is NULL. A TCP connection is under way when this returns.
int apus_endpoint_connect(int stream, const struct apus_endpoint *to, const char *zone);
// accept4(2), with who it is. -EAGAIN where nobody waits.
int apus_endpoint_accept(int fd, struct apus_endpoint *peer);
// recvfrom(2) of one datagram, with whom it is from; what is longer than `count` is cut.
int64_t apus_endpoint_receive(int fd, void *buffer, size_t count, struct apus_endpoint *peer);
// sendto(2) without SIGPIPE; `peer` is NULL for a connected socket.
int64_t apus_endpoint_send(int fd, const void *bytes, size_t count, const struct apus_endpoint *peer);
// The addresses of this network namespace's interfaces (getifaddrs(3)): how many were found, at most `limit`.
int apus_own_addresses(struct apus_endpoint *found, int limit);
