/* port_file: a lock on an open file; like base/port.h past ISO C11 and POSIX. */
#ifndef RONDO_PORT_FILE_H
#define RONDO_PORT_FILE_H

#include <errno.h>
#include <sys/file.h>

/* Locks the file for this descriptor alone, until it is closed or its process ends. 0; EWOULDBLOCK: another one has it; or errno. */
static inline int port_lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; }

#endif
