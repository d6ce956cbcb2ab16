// What a compiled network can tell of the board that loaded it, as JSON: linked into every library.
//
// Over TVM's remote procedure calls nothing else tells which version of TVM runs there, whether its
// processor has the features that the network was compiled for (EDGEVID_NEEDS, as /proc/cpuinfo names
// them), and whether it is a processor at all.

#include <glob.h>
#include <tvm/ffi/c_api.h>

#include <string>

#include "board.h"

namespace {

// The version of the wheel that the loaded runtime belongs to: apache_tvm-VERSION.dist-info beside it.
std::string tvm_version() {
  std::FILE* maps = std::fopen("/proc/self/maps", "r");
  if (maps == nullptr) return "";
  char line[8192];
  std::string found;
  while (found.empty() && std::fgets(line, sizeof line, maps) != nullptr) {
    const std::string place = line;
    const size_t start = place.find('/'), end = place.find("/tvm/lib/libtvm_runtime.so");
    if (start == std::string::npos || end == std::string::npos) continue;
    glob_t names;
    const std::string folder = place.substr(start, end - start) + "/apache_tvm-";
    if (glob((folder + "*.dist-info").c_str(), 0, nullptr, &names) == 0) {
      found = names.gl_pathv[0] + folder.size();
      found = found.substr(0, found.size() - std::string(".dist-info").size());
    }
    globfree(&names);
  }
  std::fclose(maps);
  return found;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int __tvm_ffi_edgevid_board(void*, const TVMFFIAny*, int32_t,
                                                                              TVMFFIAny* result) {
  const std::string text = "{\"name\": " + quoted(board_name()) + ", \"emulated\": " +
                           (is_emulated() ? "true" : "false") + ", \"tvm\": " + quoted(tvm_version()) +
                           ", \"missing\": " + quoted(missing_features(EDGEVID_NEEDS)) + "}";
  const TVMFFIByteArray bytes{text.data(), text.size()};
  return TVMFFIStringFromByteArray(&bytes, result);
}
