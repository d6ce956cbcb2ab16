/* Stands in for CUDA's runtime library: host memory, clocks, and a ledger of what was not freed.

   STAND_IN_DEVICES, STAND_IN_CAPABILITY and STAND_IN_FREE_MB say what GPU there is; STAND_IN_LEDGER names
   the file that at the end gets the number of things that are still allocated. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 4096

enum { SUCCESS = 0, INVALID = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100 };

static void *owned[MOST];
static size_t sizes[MOST];
static int kinds[MOST];

static long setting(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}

static int make(void **place, size_t size, int kind) {
  if (kind == 0 && (long)(size >> 20) > setting("STAND_IN_FREE_MB", 4000)) return OUT_OF_MEMORY;
  for (int i = 0; i < MOST; ++i)
    if (!owned[i]) {
      owned[i] = *place = calloc(1, size ? size : 1);
      if (kind == 0 && size) memset(*place, 0x3b, size); /* memory of a device holds what it held before */
      sizes[i] = size;
      kinds[i] = kind;
      return SUCCESS;
    }
  return OUT_OF_MEMORY;
}

static int find(const void *place, int kind) {
  for (int i = 0; i < MOST; ++i)
    if (place && owned[i] == place && kinds[i] == kind) return i;
  return -1;
}

static int drop(void *place, int kind) {
  const int i = find(place, kind);
  if (i < 0) return INVALID;
  free(owned[i]);
  owned[i] = NULL;
  return SUCCESS;
}

/* For the stand-in of TensorRT: how many bytes lie at a device address; 0 where none is allocated. */
size_t stand_in_bytes(const void *place) {
  const int i = find(place, 0);
  return i < 0 ? 0 : sizes[i];
}

int stand_in_is_stream(const void *place) { return find(place, 2) >= 0; }

int cudaGetDeviceCount(int *count) {
  *count = (int)setting("STAND_IN_DEVICES", 1);
  return *count ? SUCCESS : NO_DEVICE;
}

const char *cudaGetErrorString(int code) {
  switch (code) {
    case SUCCESS: return "no error";
    case INVALID: return "invalid argument";
    case OUT_OF_MEMORY: return "out of memory";
    case NO_DEVICE: return "no CUDA-capable device is detected";
    default: return "unknown error";
  }
}

int cudaDeviceGetAttribute(int *value, int attribute, int device) {
  int parts[2] = {6, 2};
  const char *text = getenv("STAND_IN_CAPABILITY");
  if (text) sscanf(text, "%d.%d", &parts[0], &parts[1]);
  if (device || attribute < 75 || attribute > 76) return INVALID;
  *value = parts[attribute - 75];
  return SUCCESS;
}

int cudaRuntimeGetVersion(int *version) {
  *version = 10020;
  return SUCCESS;
}

int cudaMemGetInfo(size_t *available, size_t *total) {
  *available = (size_t)setting("STAND_IN_FREE_MB", 4000) << 20;
  *total = (size_t)8 << 30;
  return SUCCESS;
}

int cudaMalloc(void **place, size_t size) { return make(place, size, 0); }
int cudaFree(void *place) { return drop(place, 0); }
int cudaHostAlloc(void **place, size_t size, unsigned flags) { return flags ? INVALID : make(place, size, 1); }
int cudaFreeHost(void *place) { return drop(place, 1); }
int cudaStreamCreate(void **place) { return make(place, 1, 2); }
int cudaStreamDestroy(void *place) { return drop(place, 2); }
int cudaStreamSynchronize(void *place) { return find(place, 2) < 0 ? INVALID : SUCCESS; }
int cudaEventCreate(void **place) { return make(place, sizeof(struct timespec), 3); }
int cudaEventDestroy(void *place) { return drop(place, 3); }

int cudaEventRecord(void *event, void *stream) {
  if (find(event, 3) < 0 || find(stream, 2) < 0) return INVALID;
  clock_gettime(CLOCK_MONOTONIC, event);
  return SUCCESS;
}

int cudaEventElapsedTime(float *milliseconds, void *start, void *end) {
  if (find(start, 3) < 0 || find(end, 3) < 0) return INVALID;
  const struct timespec *a = start, *b = end;
  if (!a->tv_sec || !b->tv_sec) return INVALID;
  *milliseconds = (float)(1e3 * (b->tv_sec - a->tv_sec) + 1e-6 * (b->tv_nsec - a->tv_nsec));
  return SUCCESS;
}

/* kind 1 is to the device, 2 back; both ends must be what they are said to be, and large enough. */
int cudaMemcpyAsync(void *target, const void *source, size_t size, int kind, void *stream) {
  const int to = find(target, kind == 1 ? 0 : 1), from = find(source, kind == 1 ? 1 : 0);
  if (kind < 1 || kind > 2 || to < 0 || from < 0 || find(stream, 2) < 0) return INVALID;
  if (size > sizes[to] || size > sizes[from]) return INVALID;
  memcpy(target, source, size);
  return SUCCESS;
}

int cudaMemsetAsync(void *place, int value, size_t size, void *stream) {
  const int i = find(place, 0);
  if (i < 0 || find(stream, 2) < 0 || size > sizes[i]) return INVALID;
  memset(place, value, size);
  return SUCCESS;
}

__attribute__((destructor)) static void write_ledger(void) {
  const char *path = getenv("STAND_IN_LEDGER");
  FILE *file = path ? fopen(path, "w") : NULL;
  int left = 0;
  if (!file) return;
  for (int i = 0; i < MOST; ++i) left += owned[i] != NULL;
  fprintf(file, "%d\n", left);
  fclose(file);
}
