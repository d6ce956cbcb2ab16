// What this program runs on, and whether that is an emulator.
#pragma once

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
#include <sys/utsname.h>

#include <cstdio>
#include <string>

// The beginning of a file of the kernel, empty where there is none.
inline std::string kernel_says(const char* path) {
  char text[65536];
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return "";
  size_t size = std::fread(text, 1, sizeof text, file);
  std::fclose(file);
  return std::string(text, size);
}

// A program for ARM whose kernel runs on another processor is emulated: its time means nothing.
inline bool is_emulated() {
#if defined(__aarch64__)
  const std::string kind = kernel_says("/sys/devices/system/cpu/modalias");
  if (!kind.empty()) return kind.find("type:aarch64") == std::string::npos;
  return kernel_says("/proc/cpuinfo").find("CPU implementer") == std::string::npos;
#else
  return false;
#endif
}

inline std::string board_name() {
  std::string name = kernel_says("/proc/device-tree/model");
  name = name.substr(0, name.find('\0'));
  if (!name.empty()) return name;
  utsname system;
  return uname(&system) == 0 ? std::string(system.machine) + " " + system.nodename : "unknown";
}

// The rest of the line of `text` that begins with `key`, after its colon.
inline std::string field(const std::string& text, const std::string& key) {
  size_t at = text.compare(0, key.size(), key) == 0 ? 0 : text.find("\n" + key);
  if (at == std::string::npos) return "";
  at = text.find(':', at);
  return at == std::string::npos ? "" : text.substr(at + 1, text.find('\n', at) - at - 1);
}

// What the processor can do, by the names in /proc/cpuinfo, each between two spaces.
inline std::string processor_features() {
#if defined(__aarch64__)
  // The kernel's bits, which emulators know too; /proc/cpuinfo is the emulating machine's.
  const struct {
    unsigned long which, bit;
    const char* name;
  } known[] = {{AT_HWCAP, 1, "asimd "},       {AT_HWCAP, 10, "asimdhp "}, {AT_HWCAP, 20, "asimddp "},
               {AT_HWCAP, 22, "sve "},        {AT_HWCAP2, 13, "i8mm "},   {AT_HWCAP2, 14, "bf16 "}};
  std::string found = " ";
  for (const auto& one : known)
    if (getauxval(one.which) >> one.bit & 1) found += one.name;
  return found;
#else
  return " " + field(kernel_says("/proc/cpuinfo"), "flags") + " ";
#endif
}

// Those of `wanted`, names between spaces, that the processor lacks.
inline std::string missing_features(const std::string& wanted) {
  const std::string have = processor_features();
  std::string missing;
  for (size_t at = 0, end; at < wanted.size(); at = end + 1) {
    end = wanted.find(' ', at);
    if (end == std::string::npos) end = wanted.size();
    const std::string name = wanted.substr(at, end - at);
    if (!name.empty() && have.find(" " + name + " ") == std::string::npos)
      missing += (missing.empty() ? "" : " ") + name;
  }
  return missing;
}

// As a string of JSON.
inline std::string quoted(const std::string& text) {
  std::string found = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') found += '\\';
    found += (unsigned char)c < 32 ? ' ' : c;
  }
  return found + "\"";
}
