/* The trivial service of the benchmark. Its first act is to look at the clock, its second to write that stamp into
 * a FIFO that the benchmark reads, so that nobody has to poll for "running". The FIFO stays open: when the last
 * service has ended, the reader sees the end of the file.
 *
 * Usage: pause NUMBER,FIFO (one argument, so that "#!/path/pause NUMBER,FIFO" works as a run script) */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct stamp {
  uint64_t number;
  uint64_t monotonic_ns;
};

static void leave(int signal_number) {
  (void)signal_number;
  _exit(0);
}

int main(int argc, char** argv) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  char* comma = argc > 1 ? strchr(argv[1], ',') : NULL;
  if (comma == NULL) return 2;
  signal(SIGTERM, leave);
  const int fifo = open(comma + 1, O_WRONLY | O_CLOEXEC);
  const struct stamp stamp = {strtoull(argv[1], NULL, 10),
                              (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec};
  if (fifo == -1 || write(fifo, &stamp, sizeof stamp) != sizeof stamp) return 1;
  for (;;)
    pause();
}
