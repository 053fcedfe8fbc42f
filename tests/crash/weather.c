/* Preloaded into a process under test: its clock of the day is set, its syncs are slow or fail.

   What it is told stands in the file that WEATHER names: three numbers of 64 bits, which may change
   at any time. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct weather {
  int64_t clock_seconds; /* that the clock of the day is ahead */
  int64_t sync_millis;   /* that each sync takes longer */
  int64_t sync_error;    /* that each sync fails with; 0 for none */
};

static volatile struct weather *weather;

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("WEATHER");
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof *weather, PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) weather = mapped;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && clock == CLOCK_REALTIME && weather) time->tv_sec += weather->clock_seconds;
  return result;
}

static int sync_file(long call, int file) {
  if (weather) {
    int64_t millis = weather->sync_millis;
    struct timespec pause = {millis / 1000, millis % 1000 * 1000000};
    nanosleep(&pause, NULL);
    if (weather->sync_error) {
      errno = weather->sync_error;
      return -1;
    }
  }
  return syscall(call, file);
}

int fsync(int file) { return sync_file(SYS_fsync, file); }

int fdatasync(int file) { return sync_file(SYS_fdatasync, file); }
