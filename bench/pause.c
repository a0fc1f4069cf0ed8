/* The trivial service of the benchmark. Its first act is to look at the clock, its second to write that stamp into
 * a FIFO that the benchmark reads, so that nobody has to poll for "running". The FIFO stays open: when the last
 * service has ended, the reader sees the end of the file.
 *
 * Usage: pause NUMBER,FIFO (one argument, so that "#!/path/pause NUMBER,FIFO" works as a run script)
 *        pause NUMBER,FIFO MEGABYTES: prints so many MiB of numbered lines of 64 bytes, then stamps again */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
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

enum { line_bytes = 64, lines_a_write = 1024 };

/* Nothing is formatted but the numbers, so that the reader of a pipe is what the writer waits for. */
static int print_lines(uint64_t megabytes) {
  static char text[line_bytes * lines_a_write];
  memset(text, 'x', sizeof text);
  uint64_t number = 0;
  for (uint64_t writes = megabytes * (1 << 20) / sizeof text; writes > 0; --writes) {
    for (char* line = text; line < text + sizeof text; line += line_bytes) {
      char digits[17];
      snprintf(digits, sizeof digits, "%015llu ", (unsigned long long)++number);
      memcpy(line, digits, 16);
      line[line_bytes - 1] = '\n';
    }
    for (size_t done = 0; done < sizeof text;) {
      const ssize_t size = write(1, text + done, sizeof text - done);
      if (size <= 0) return 0;
      done += (size_t)size;
    }
  }
  return 1;
}

static int put_stamp(int fifo, const char* number, struct timespec now) {
  const struct stamp stamp = {strtoull(number, NULL, 10),
                              (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec};
  return write(fifo, &stamp, sizeof stamp) == sizeof stamp;
}

int main(int argc, char** argv) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  char* comma = argc > 1 ? strchr(argv[1], ',') : NULL;
  if (comma == NULL) return 2;
  signal(SIGTERM, leave);
  const int fifo = open(comma + 1, O_WRONLY | O_CLOEXEC);
  if (fifo == -1 || !put_stamp(fifo, argv[1], now)) return 1;
  if (argc > 2) {
    if (!print_lines(strtoull(argv[2], NULL, 10))) return 1;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!put_stamp(fifo, argv[1], now)) return 1;
  }
  for (;;)
    pause();
}
