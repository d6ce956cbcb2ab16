// Runs one compiled kernel: ./one_kernel FILE, where FILE holds the arguments and, at its end, the result.
// Stands for TVM's runtime: the loops that are parallel run in order.
#include <tvm/ffi/c_api.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

extern "C" {
int __tvm_ffi_kernel(void*, TVMFFIAny*, int32_t, TVMFFIAny*);

struct ParallelGroup {
  void* sync;
  int32_t num_task;
};

static int launch(int (*task)(int, ParallelGroup*, void*), void* data, int) {
  ParallelGroup one{nullptr, 1};
  return task(0, &one, data);
}

static void* allocate(int, int, uint64_t bytes, int, int) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

static int release(int, int, void* place) {
  free(place);
  return 0;
}

// The kernel calls the runtime through these pointers, which a loader of modules would set.
decltype(&launch) __TVMBackendParallelLaunch = launch;
decltype(&allocate) __TVMBackendAllocWorkspace = allocate;
decltype(&release) __TVMBackendFreeWorkspace = release;

void TVMFFIErrorSetRaisedFromCStr(const char* kind, const char* message) { printf("%s: %s\n", kind, message); }

void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t count) {
  printf("%s: ", kind);
  for (int32_t i = 0; i < count; ++i) printf("%s", parts[i] ? parts[i] : "");
  printf("\n");
}
}

int main(int, char** arguments) {
  FILE* file = fopen(arguments[1], "r+b");
  auto number = [&] {
    int64_t value = 0;
    if (fread(&value, sizeof value, 1, file) != 1) exit(2);
    return value;
  };
  // Count; of each: type code, bits, rank, sizes, bytes, numbers. The last is the result.
  int64_t count = number(), bytes = 0;
  long result = 0;
  std::vector<std::vector<int64_t>> shapes(count);
  std::vector<DLTensor> tensors(count);
  std::vector<TVMFFIAny> values(count);
  for (int64_t i = 0; i < count; ++i) {
    auto code = static_cast<uint8_t>(number()), bits = static_cast<uint8_t>(number());
    shapes[i].resize(number());
    for (auto& size : shapes[i]) size = number();
    bytes = number();
    result = ftell(file);
    void* data = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (fread(data, 1, bytes, file) != static_cast<size_t>(bytes)) return 2;
    auto rank = static_cast<int32_t>(shapes[i].size());
    tensors[i] = {data, {kDLCPU, 0}, rank, {code, bits, 1}, shapes[i].data(), nullptr, 0};
    values[i] = {};
    values[i].type_index = kTVMFFIDLTensorPtr;
    values[i].v_ptr = &tensors[i];
  }
  TVMFFIAny nothing{};
  if (__tvm_ffi_kernel(nullptr, values.data(), static_cast<int32_t>(count), &nothing) != 0) return 1;
  fseek(file, result, SEEK_SET);
  fwrite(tensors.back().data, 1, bytes, file);
  return fclose(file);
}
