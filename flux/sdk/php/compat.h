/* What PHP's sources expect of a Unix and wasi-libc does not declare; compat.c says that it is not there. */
#ifndef FLUX_COMPAT_H
#define FLUX_COMPAT_H
#ifndef __ASSEMBLER__

#include <sys/types.h>
#include <sys/stat.h>
#include <stdio.h>
#define sockaddr_un __wasi_sockaddr_un
#include <sys/socket.h>
#include <sys/un.h>
#undef sockaddr_un
#include <poll.h>
#include <fcntl.h>

struct sockaddr_un {
    sa_family_t sun_family;
    char sun_path[108];
};
struct flock;
struct ip_mreq;

#ifndef PF_UNIX
#define PF_UNIX 3
#endif
#ifndef AF_UNIX
#define AF_UNIX 3
#endif
#ifndef POLLPRI
#define POLLPRI 0
#endif
#ifndef MSG_OOB
#define MSG_OOB 0
#endif
#ifndef SOL_IP
#define SOL_IP 0
#endif
#ifndef SO_ERROR
#define SO_ERROR 4
#endif
#ifndef F_RDLCK
#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2
#define F_GETLK 5
#define F_SETLK 6
#define F_SETLKW 7
#endif

mode_t umask(mode_t);
FILE *popen(const char *, const char *);
int pclose(FILE *);
int chown(const char *, uid_t, gid_t);
int lchown(const char *, uid_t, gid_t);
int fchown(int, uid_t, gid_t);
int dup(int);
int dup2(int, int);
uid_t getuid(void);
gid_t getgid(void);
uid_t geteuid(void);
gid_t getegid(void);
int getgroups(int, gid_t *);
int getdtablesize(void);
char *mktemp(char *);
char *realpath(const char *, char *);
int socket(int, int, int);
int bind(int, const struct sockaddr *, socklen_t);
int listen(int, int);
int connect(int, const struct sockaddr *, socklen_t);
int setsockopt(int, int, int, const void *, socklen_t);
int getsockname(int, struct sockaddr *, socklen_t *);
int getpeername(int, struct sockaddr *, socklen_t *);
ssize_t sendto(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
ssize_t recvfrom(int, void *, size_t, int, struct sockaddr *, socklen_t *);

#endif
#endif
