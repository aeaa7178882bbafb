/* Put before the C library (LD_PRELOAD): lets calls on files of a database fail while the file that FAILING_FILES names
   says so: `write 5` makes every write to one fail with the error 5 (EIO), `sync 28` every fsync with 28 (ENOSPC). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int file, const char *what) {
  char link[64], path[4096], told[64] = {0}, call[32];
  int error, before = errno, control;
  const char *name = getenv("FAILING_FILES");
  if (!name || (control = open(name, O_RDONLY | O_CLOEXEC)) < 0) {
    errno = before;
    return 0;
  }
  ssize_t length = read(control, told, sizeof told - 1);
  close(control);
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t end = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length <= 0 || end <= 0 || sscanf(told, "%31s %d", call, &error) != 2) return 0;
  path[end] = 0;
  if (strcmp(call, what) || !strstr(path, ".db")) return 0;
  errno = error;
  return 1;
}

#define REAL(result, name, ...)                                    \
  static result (*real)(__VA_ARGS__);                              \
  if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
  return fails(file, "write") ? -1 : real(file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  return fails(file, "write") ? -1 : real(file, bytes, count, at);
}

ssize_t write(int file, const void *bytes, size_t count) {
  REAL(ssize_t, "write", int, const void *, size_t);
  return fails(file, "write") ? -1 : real(file, bytes, count);
}

int fsync(int file) {
  REAL(int, "fsync", int);
  return fails(file, "sync") ? -1 : real(file);
}

int fdatasync(int file) {
  REAL(int, "fdatasync", int);
  return fails(file, "sync") ? -1 : real(file);
}
