/* A light AESM client for measurements: N clients in one epoll loop, each of them connecting, sending one request in
 * one write, reading the whole answer and closing, again and again for a time.
 *
 *   aesm_load SOCKET CLIENTS SECONDS REQUEST_FILE
 *
 * REQUEST_FILE holds a whole frame. Prints one line of JSON: answers, failures, refused (the backlog was full), seconds,
 * p50 and p99 in microseconds from connect to the last byte. An answer counts if its error code is 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ANSWER = 1 << 17, MAX_SAMPLES = 1 << 22, EVENTS = 256 };

struct client {
    int fd;
    int waits;        /* for a place in the backlog */
    double start;
    uint32_t got;
    uint8_t head[16]; /* length, tag, length, error code */
};

static struct sockaddr_un address;
static uint8_t request[1 << 16];
static size_t request_size;
static int epoll_fd;
static long answers, failures, refused;
static uint32_t *samples;
static uint8_t sink[MAX_ANSWER];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fail(struct client *c) {
    failures++;
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

/* Begins a transaction; keeps its start where it has to wait for the backlog. */
static void begin(struct client *c) {
    if (!c->waits) c->start = now();
    c->waits = 0;
    c->got = 0;
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) { fail(c); return; }
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        if (errno == EAGAIN) {
            refused++;
            close(c->fd);
            c->fd = -1;
            c->waits = 1;
        } else {
            fail(c);
        }
        return;
    }
    if (write(c->fd, request, request_size) != (ssize_t)request_size) { fail(c); return; }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static int is_success(const struct client *c) {
    size_t at = 4 + 2; /* header, tag of two bytes */
    while (at < sizeof c->head && c->head[at] & 0x80) at++;
    return at + 2 < sizeof c->head && c->head[at + 1] == 0x08 && c->head[at + 2] == 0x00;
}

/* Returns 1 once the transaction is over, well or not. */
static int receive(struct client *c) {
    ssize_t n = read(c->fd, sink, sizeof sink);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) { fail(c); return 1; }
    for (size_t i = 0; i < (size_t)n && c->got + i < sizeof c->head; i++) c->head[c->got + i] = sink[i];
    c->got += n;
    uint32_t size;
    if (c->got < 4) return 0;
    memcpy(&size, c->head, 4);
    if (c->got < 4 + size) return 0;
    if (!is_success(c)) { fail(c); return 1; }
    close(c->fd);
    c->fd = -1;
    if (answers < MAX_SAMPLES) samples[answers] = (uint32_t)((now() - c->start) * 1e6);
    answers++;
    return 1;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int count = atoi(argv[2]);
    double seconds = atof(argv[3]);
    FILE *file = fopen(argv[4], "rb");
    if (!file) return 2;
    request_size = fread(request, 1, sizeof request, file);
    fclose(file);
    address.sun_family = AF_UNIX;
    if (strlen(argv[1]) >= sizeof address.sun_path) return 2;
    strcpy(address.sun_path, argv[1]);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    epoll_fd = epoll_create1(0);
    samples = malloc(sizeof *samples * MAX_SAMPLES);
    struct client *clients = calloc(count, sizeof *clients);
    double first = now(), end = first + seconds;
    for (int i = 0; i < count; i++) begin(&clients[i]);
    struct epoll_event events[EVENTS];
    while (now() < end) {
        int n = epoll_wait(epoll_fd, events, EVENTS, 1);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (receive(c)) begin(c);
        }
        for (int i = 0; n < EVENTS && i < count; i++)
            if (clients[i].fd < 0) begin(&clients[i]);
    }
    double took = now() - first;
    long kept = answers < MAX_SAMPLES ? answers : MAX_SAMPLES;
    qsort(samples, kept, sizeof *samples, ascending);
    printf("{\"answers\": %ld, \"failures\": %ld, \"refused\": %ld, \"seconds\": %.4f, \"p50\": %u, \"p99\": %u}\n",
           answers, failures, refused, took, kept ? samples[kept / 2] : 0, kept ? samples[kept * 99 / 100] : 0);
    return 0;
}
