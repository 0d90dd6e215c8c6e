// Sockets of the node's own small HTTP server: structures and macros that Swift does not import.
#pragma once
#include <stdint.h>
#include <stddef.h>

// A listening TCP socket that does not block. `address` is numeric; port 0 lets the kernel choose. An address of
// version 6 that is "::" takes version 4 as well.
int apus_listen_tcp(const char *address, int port, int backlog);
// The port that a socket is bound to.
int apus_socket_port(int fd);
// accept4(2), not blocking; writes the peer's numeric address. -EAGAIN where nobody waits.
int apus_accept(int fd, char *peer, size_t count);
// send(2) without SIGPIPE.
int64_t apus_send(int fd, const void *bytes, size_t count);
// shutdown(2) of the sending side.
int apus_end_sending(int fd);
// Bits of apus_poll_many.
enum { APUS_READABLE = 1, APUS_WRITABLE = 2, APUS_BROKEN = 4 };
// poll(2) of many descriptors: `wanted` and `ready` hold the bits above. Returns how many are ready.
int apus_poll_many(const int *fds, const uint8_t *wanted, uint8_t *ready, int count, int timeout_milliseconds);
// Moves the calling thread into a new network namespace whose loopback interface is up.
int apus_new_network(void);
