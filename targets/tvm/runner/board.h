// What this program runs on, and whether that is an emulator.
#pragma once

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

// As a string of JSON.
inline std::string quoted(const std::string& text) {
  std::string found = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') found += '\\';
    found += (unsigned char)c < 32 ? ' ' : c;
  }
  return found + "\"";
}
