/* A disk that takes 2 ms longer to make anything durable: preloaded into PostgreSQL (LD_PRELOAD). It commits by fdatasync
   and writes checkpoints by fsync; sync_file_range only hints, and promises nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static int slowly(const char *name, int fd) {
  struct timespec left = {0, 2000000};
  while (nanosleep(&left, &left) != 0) {
  }
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return real(fd);
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
