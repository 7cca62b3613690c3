// Announces as many processors as MPSCNN_ANNOUNCED says to a program that loads this library before all
// others.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int announced(void) {
    const char *number = getenv("MPSCNN_ANNOUNCED");
    return number != NULL ? atoi(number) : 1;
}

long sysconf(int name) {
    long (*system_sysconf)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    if (name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF) return announced();
    return system_sysconf(name);
}

int sched_getaffinity(pid_t process, size_t size, cpu_set_t *mask) {
    (void)process;
    memset(mask, 0, size);
    for (int i = 0; i < announced(); ++i) CPU_SET_S(i, size, mask);
    return 0;
}
