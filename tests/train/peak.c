/* peak CMD..: runs it, prints the most KiB it had in memory */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct rusage u;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    if (argc < 2 || child < 0 || wait4(child, &status, 0, &u) != child) return 125;
    fprintf(stderr, "peak %ld\n", u.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 124;
}
