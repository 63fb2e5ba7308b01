/* port_terminal: how wide a terminal is; like base/port.h past ISO C11 and POSIX. */
#ifndef RONDO_PORT_TERMINAL_H
#define RONDO_PORT_TERMINAL_H

#include <sys/ioctl.h>

/* 0: not known, or no terminal. */
static inline int port_columns(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

#endif
