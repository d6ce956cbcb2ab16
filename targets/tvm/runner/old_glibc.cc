// Keeps a program that a new compiler links runnable on the C library of 2018 (glibc 2.27).
//
// Since glibc 2.34 the linker binds the start of every program to a symbol of that version; the older
// symbol is still there, but whoever takes it runs the constructors himself. And libstdc++ of GCC 11 has
// a function of its own for arrays of impossible length.

#include <cstdlib>

#if defined(__aarch64__)
using Main = int (*)(int, char**, char**);
using Constructor = void (*)(int, char**, char**);

extern "C" {
extern Constructor __init_array_start[] __attribute__((visibility("hidden")));
extern Constructor __init_array_end[] __attribute__((visibility("hidden")));

__asm__(".symver start_of_2_17, __libc_start_main@GLIBC_2.17");
int start_of_2_17(Main, int, char**, Constructor, void (*)(), void (*)(), void*);

static void construct(int count, char** arguments, char** environment) {
  for (Constructor* one = __init_array_start; one != __init_array_end; ++one)
    (*one)(count, arguments, environment);
}

__attribute__((visibility("hidden"))) int __libc_start_main(Main main, int count, char** arguments, Constructor,
                                                            void (*)(), void (*end)(), void* stack) {
  return start_of_2_17(main, count, arguments, construct, nullptr, end, stack);
}
}
#endif

namespace std {
[[noreturn]] __attribute__((visibility("hidden"))) void __throw_bad_array_new_length() { std::abort(); }
}  // namespace std
