/* The stand-ins of Intel's libraries decide nothing: they check what C can check (widths, symbols, the environment)
   and ask a Unix socket, LIBSGX_STAND_IN, behind which a Python program plays the enclaves.
   A request is kind, flags and size (32 bits each) and a payload; a reply is action, status and size, and a payload. */
#ifndef ORACLE_H
#define ORACLE_H

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define UNEXPECTED 0xE001u
#define REPLY_ROOM (1u << 20)

enum { ACTION_RETURN = 0, ACTION_ABORT = 1, ACTION_SEGFAULT = 2 };

static int transfer(int fd, void *data, size_t size, int out)
{
    char *at = data;
    while (size > 0) {
        ssize_t done = out ? write(fd, at, size) : read(fd, at, size);
        if (done <= 0)
            return -1;
        at += done;
        size -= (size_t)done;
    }
    return 0;
}

/* Asks, and waits as long as it takes; the reply's payload stands in `reply`, of REPLY_ROOM bytes, its size in `got`. */
static uint32_t ask(char kind, uint32_t flags, const void *payload, uint32_t size, uint8_t *reply, uint32_t *got)
{
    const char *path = getenv("LIBSGX_STAND_IN");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint32_t head[3] = {(uint32_t)kind, flags, size};
    uint32_t status = UNEXPECTED;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (path == NULL || fd < 0)
        return UNEXPECTED;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && transfer(fd, head, sizeof head, 1) == 0 &&
        transfer(fd, (void *)payload, size, 1) == 0 && transfer(fd, head, sizeof head, 0) == 0 &&
        head[2] <= REPLY_ROOM && transfer(fd, reply, head[2], 0) == 0) {
        status = head[1];
        *got = head[2];
        if (head[0] == ACTION_ABORT)
            abort();
        if (head[0] == ACTION_SEGFAULT) {
            /* Raised, since Python installs nothing for it and a compiler may remove a write to NULL. */
            signal(SIGSEGV, SIG_DFL);
            raise(SIGSEGV);
        }
    }
    close(fd);
    return status;
}

#endif
