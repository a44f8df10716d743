/* Records what a process asks of the files of one directory, so that a test can tell what a power cut would have
 * left of them. Loaded with LD_PRELOAD; see recording.rs for the model.
 *
 * RECORD_DIR   the directory whose files are recorded
 * RECORD_LOG   where the records go
 * RECORD_ACKS  a file outside; what is written to it is recorded as acks, before it is written
 * RECORD_FAIL  while a file of this name exists, every sync of a recorded file fails with EIO
 *
 * A record is: kind (1 byte), 7 bytes of padding, inode, two numbers, bytes of data that follow; numbers are
 * 64 bits in the order of the machine.
 *   C  a file was created or emptied
 *   W  a write ended: offset
 *   T  a truncation ended: length
 *   B  a sync begins: its number
 *   E  a sync ended well: its number
 *   A  an ack: its text follows
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 65536
#define ACKS UINT64_MAX

static uint64_t inode_of[FDS]; /* 0: not recorded */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t syncs;
static int log_fd = -1;
static char directory[PATH_MAX], acks[PATH_MAX], fail[PATH_MAX];

static void take(const char *name, char *into) {
    const char *value = getenv(name);
    if (!value || !realpath(value, into)) {
        /* The file need not exist yet. */
        snprintf(into, PATH_MAX, "%s", value ? value : "");
    }
}

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("RECORD_LOG");
    take("RECORD_DIR", directory);
    take("RECORD_ACKS", acks);
    take("RECORD_FAIL", fail);
    if (path) {
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
}

static void record(char kind, uint64_t inode, uint64_t number, const void *data, size_t size) {
    struct {
        char kind, padding[7];
        uint64_t inode, number, size;
    } head = {kind, {0}, inode, number, size};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, size}};
    if (syscall(SYS_writev, log_fd, parts, size ? 2 : 1) != (long)(sizeof head + size)) {
        static const char complaint[] = "the recording is incomplete\n";
        syscall(SYS_write, 2, complaint, sizeof complaint - 1);
        abort();
    }
}

static uint64_t recorded(int fd) {
    return log_fd >= 0 && fd >= 0 && fd < FDS ? inode_of[fd] : 0;
}

static int opened(int fd, int flags) {
    char link[64], path[PATH_MAX];
    struct stat found;
    int before = errno;
    if (log_fd < 0 || fd < 0 || fd >= FDS) {
        return fd;
    }
    inode_of[fd] = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) {
        size_t prefix = strlen(directory);
        path[length] = 0;
        if (strcmp(path, acks) == 0) {
            inode_of[fd] = ACKS;
        } else if (strncmp(path, directory, prefix) == 0 && path[prefix] == '/') {
            inode_of[fd] = found.st_ino;
            if (found.st_size == 0 && (flags & (O_CREAT | O_TRUNC))) {
                pthread_mutex_lock(&lock);
                record('C', found.st_ino, 0, NULL, 0);
                pthread_mutex_unlock(&lock);
            }
        }
    }
    errno = before;
    return fd;
}

#define MODE(flags)                                                                                                \
    mode_t mode = 0;                                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                         \
        va_list more;                                                                                              \
        va_start(more, flags);                                                                                     \
        mode = va_arg(more, mode_t);                                                                               \
        va_end(more);                                                                                              \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return opened((int)syscall(SYS_openat, AT_FDCWD, path, flags, mode), flags);
}

int open64(const char *path, int flags, ...) {
    MODE(flags)
    return opened((int)syscall(SYS_openat, AT_FDCWD, path, flags, mode), flags);
}

int openat(int dir, const char *path, int flags, ...) {
    MODE(flags)
    return opened((int)syscall(SYS_openat, dir, path, flags, mode), flags);
}

int openat64(int dir, const char *path, int flags, ...) {
    MODE(flags)
    return opened((int)syscall(SYS_openat, dir, path, flags, mode), flags);
}

int close(int fd) {
    if (recorded(fd)) {
        inode_of[fd] = 0;
    }
    return (int)syscall(SYS_close, fd);
}

static ssize_t wrote(int fd, const void *data, ssize_t size, off_t offset) {
    uint64_t inode = recorded(fd);
    if (size > 0 && inode && inode != ACKS) {
        pthread_mutex_lock(&lock);
        record('W', inode, (uint64_t)offset, data, (size_t)size);
        pthread_mutex_unlock(&lock);
    }
    return size;
}

ssize_t write(int fd, const void *data, size_t size) {
    uint64_t inode = recorded(fd);
    if (inode == ACKS) {
        pthread_mutex_lock(&lock);
        record('A', 0, 0, data, size);
        pthread_mutex_unlock(&lock);
    }
    if (!inode || inode == ACKS) {
        return syscall(SYS_write, fd, data, size);
    }
    off_t offset = lseek(fd, 0, SEEK_CUR);
    return wrote(fd, data, syscall(SYS_write, fd, data, size), offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return wrote(fd, data, syscall(SYS_pwrite64, fd, data, size, offset), offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) {
    return wrote(fd, data, syscall(SYS_pwrite64, fd, data, size, offset), offset);
}

/* Nothing that is recorded writes in pieces; should that change, the test has to notice. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (recorded(fd)) {
        abort();
    }
    return syscall(SYS_writev, fd, parts, count);
}

static int truncated(int fd, off_t length) {
    uint64_t inode = recorded(fd);
    int outcome = (int)syscall(SYS_ftruncate, fd, length);
    if (outcome == 0 && inode) {
        pthread_mutex_lock(&lock);
        record('T', inode, (uint64_t)length, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return outcome;
}

int ftruncate(int fd, off_t length) {
    return truncated(fd, length);
}

int ftruncate64(int fd, off_t length) {
    return truncated(fd, length);
}

static int synced(int fd, long call) {
    uint64_t inode = recorded(fd), number;
    if (!inode) {
        return (int)syscall(call, fd);
    }
    if (fail[0] && access(fail, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    pthread_mutex_lock(&lock);
    number = ++syncs;
    record('B', inode, number, NULL, 0);
    pthread_mutex_unlock(&lock);
    int outcome = (int)syscall(call, fd);
    if (outcome == 0) {
        pthread_mutex_lock(&lock);
        record('E', inode, number, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return outcome;
}

int fsync(int fd) {
    return synced(fd, SYS_fsync);
}

int fdatasync(int fd) {
    return synced(fd, SYS_fdatasync);
}
