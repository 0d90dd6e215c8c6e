// Connections with a bounded wait: sockaddr casts and non-blocking connect are a page of unsafe Swift, and ten lines of C.
#pragma once

/// Connects to a TCP port and closes again. Returns 0, a negative errno, or -1000 minus a getaddrinfo(3) error.
int apus_probe_tcp(const char *host, int port, int timeout_milliseconds);

/// Sends an empty datagram to port 9 (discard, RFC 863) of an IPv4 address, so that the kernel resolves its neighbour.
int apus_touch_ipv4(const char *address);
