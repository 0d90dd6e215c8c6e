// The program of the benchmark's containers (docs/benchmarks.md). It is in the lab's image alone, never in the OS.
//
// C and static, because its own start is part of every figure and must cost as little as a program can.
//
//   apus-bench start                       says when it began, and sleeps until it is asked to end
//   apus-bench runtime                     speaks AWS Lambda's Runtime API, and answers every call with {}
//   apus-bench call PORT PATH COUNT PAUSE NAME
//                                          calls a function's URL of this machine so often, with a pause in ms
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long microseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void end(int signal) {
    (void)signal;
    _exit(0);
}

static int start(void) {
    long long real = microseconds(CLOCK_REALTIME), monotonic = microseconds(CLOCK_MONOTONIC);
    char line[80];
    int count = snprintf(line, sizeof line, "START %lld %lld\n", real, monotonic);
    // As the first process of a container it is not ended by a signal that it does not handle (pid_namespaces(7)).
    signal(SIGTERM, end);
    if (write(1, line, (size_t)count) != count) return 1;
    for (;;) pause();
}

static int reach(const char *address, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1) return -1;
    if (connect(connection, (struct sockaddr *)&to, sizeof to) == 0) return connection;
    close(connection);
    return -1;
}

// Sends all of it in one piece, so that no delayed acknowledgment is measured.
static int tell(int connection, const char *text) {
    size_t count = strlen(text);
    return send(connection, text, count, MSG_NOSIGNAL) == (ssize_t)count ? 0 : -1;
}

// The value of a header, or NULL; `message` ends with 0.
static const char *header(const char *message, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strstr(message, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncmp(line, "\r\n\r\n", 4) == 0) return NULL;
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':') {
            const char *value = line + 3 + length;
            while (*value == ' ') value++;
            return value;
        }
    }
    return NULL;
}

// Reads one message with its body, up to the size; 0 where it is whole.
static int hear(int connection, char *message, size_t size) {
    size_t have = 0;
    while (have + 1 < size) {
        ssize_t count = read(connection, message + have, size - 1 - have);
        if (count < 0) return -1;
        have += (size_t)count;
        message[have] = 0;
        const char *body = strstr(message, "\r\n\r\n");
        const char *length = body ? header(message, "content-length") : NULL;
        if (length && have >= (size_t)(body + 4 - message) + strtoul(length, NULL, 10)) return 0;
        if (count == 0) return body && !length ? 0 : -1;
    }
    return -1;
}

static int serve(void) {
    const char *host = getenv("AWS_LAMBDA_RUNTIME_API");
    static char message[65536], reply[512], address[64], id[65];
    int port = 0;
    if (!host || sscanf(host, "%63[0-9.]:%d", address, &port) != 2) return 1;
    int connection = reach(address, port);
    if (connection < 0) return 1;
    for (;;) {
        snprintf(reply, sizeof reply, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", host);
        if (tell(connection, reply) || hear(connection, message, sizeof message)) return 1;
        const char *value = header(message, "lambda-runtime-aws-request-id");
        if (!value || sscanf(value, "%64[0-9A-Za-z-]", id) != 1) return 1;
        snprintf(
            reply, sizeof reply,
            "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: %s\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            id, host);
        if (tell(connection, reply) || hear(connection, message, sizeof message)) return 1;
    }
}

static int call(int port, const char *path, int count, int pause, const char *name) {
    static char request[512], message[65536];
    snprintf(
        request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path);
    for (int i = 0; i < count; i++) {
        long long begin = microseconds(CLOCK_MONOTONIC);
        int connection = reach("127.0.0.1", port);
        int failed = connection < 0 || tell(connection, request) || hear(connection, message, sizeof message);
        long long end = microseconds(CLOCK_MONOTONIC);
        if (connection >= 0) close(connection);
        if (failed) {
            printf("FAILED %s no answer\n", name);
        } else if (strncmp(message, "HTTP/1.1 200", 12) != 0) {
            printf("FAILED %s %.60s\n", name, strtok(message, "\r\n"));
        } else {
            printf("SAMPLE %s %lld %lld\n", name, end - begin, end);
        }
        fflush(stdout);
        if (pause > 0) usleep((useconds_t)pause * 1000);
    }
    return 0;
}

int main(int count, char **words) {
    if (count == 2 && strcmp(words[1], "start") == 0) return start();
    if (count == 2 && strcmp(words[1], "runtime") == 0) return serve();
    if (count == 7 && strcmp(words[1], "call") == 0)
        return call(atoi(words[2]), words[3], atoi(words[4]), atoi(words[5]), words[6]);
    fputs("usage: apus-bench start | runtime | call PORT PATH COUNT PAUSE NAME\n", stderr);
    return 2;
}
