/* What PHP's sources link to and WASI has not: processes, owners, sockets, fibers. Each says ENOSYS, or nothing. */
#include "compat.h"
#include "ucontext.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ABSENT(type, name, arguments, value) \
    type name arguments {                    \
        errno = ENOSYS;                      \
        return value;                        \
    }

ABSENT(FILE *, popen, (const char *command, const char *mode), NULL)
ABSENT(int, pclose, (FILE *file), -1)
ABSENT(int, chown, (const char *path, uid_t user, gid_t group), -1)
ABSENT(int, lchown, (const char *path, uid_t user, gid_t group), -1)
ABSENT(int, fchown, (int file, uid_t user, gid_t group), -1)
ABSENT(int, dup, (int file), -1)
ABSENT(int, dup2, (int file, int as), -1)
ABSENT(char *, mktemp, (char *template), template)
ABSENT(int, socket, (int domain, int type, int protocol), -1)
ABSENT(int, bind, (int file, const struct sockaddr *to, socklen_t size), -1)
ABSENT(int, listen, (int file, int backlog), -1)
ABSENT(int, connect, (int file, const struct sockaddr *to, socklen_t size), -1)
ABSENT(int, setsockopt, (int file, int level, int name, const void *value, socklen_t size), -1)
ABSENT(int, getsockname, (int file, struct sockaddr *name, socklen_t *size), -1)
ABSENT(int, getpeername, (int file, struct sockaddr *name, socklen_t *size), -1)
ABSENT(ssize_t, sendto, (int file, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t room), -1)
ABSENT(ssize_t, recvfrom, (int file, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *room), -1)
ABSENT(void *, getpwnam, (const char *name), NULL)
ABSENT(void *, getgrnam, (const char *name), NULL)
ABSENT(void *, getpwuid, (uid_t user), NULL)
ABSENT(int, getnameinfo, (const void *of, socklen_t size, char *host, socklen_t room, char *service, socklen_t more, int flags), -1)
ABSENT(int, gethostbyname_r, (const char *name, void *entry, char *buffer, size_t size, void **result, int *error), -1)

mode_t umask(mode_t mask) { return 022; }
uid_t getuid(void) { return 0; }
gid_t getgid(void) { return 0; }
uid_t geteuid(void) { return 0; }
gid_t getegid(void) { return 0; }
int getgroups(int most, gid_t *groups) { return 0; }
int getdtablesize(void) { return 1024; }
int madvise(void *address, size_t size, int advice) { return 0; }

void syslog(int priority, const char *format, ...) {}
void openlog(const char *name, int options, int facility) {}
void closelog(void) {}

int getcontext(ucontext_t *context) { abort(); }
int setcontext(const ucontext_t *context) { abort(); }
void makecontext(ucontext_t *context, void (*entry)(void), int count, ...) { abort(); }
int swapcontext(ucontext_t *from, const ucontext_t *to) { abort(); }

/* getentropy takes 256 bytes at most. */
void flux_random(void *to, size_t size) {
    for (char *at = to; size;) {
        size_t part = size > 256 ? 256 : size;
        if (getentropy(at, part)) abort();
        at += part;
        size -= part;
    }
}
