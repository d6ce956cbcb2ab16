// A file that closes itself, and whose short reads and writes are failures.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "failure.h"

class File {
 public:
  File(const std::string& path, const char* mode) : path_(path), file_(std::fopen(path.c_str(), mode)) {
    if (file_ == nullptr) fail_to(mode[0] == 'r' ? "open" : "write", path);
  }
  ~File() {
    if (file_ != nullptr) std::fclose(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }

  // At most `size` bytes; fewer at the end of the file.
  size_t read_some(void* data, size_t size) {
    size_t got = std::fread(data, 1, size, file_);
    if (got < size && std::ferror(file_)) fail_to("read", path_);
    return got;
  }

  void read(void* data, size_t size) {
    if (read_some(data, size) != size) fail(path_ + " is cut short");
  }

  std::string read_all() {
    std::string text;
    char part[65536];
    while (size_t got = read_some(part, sizeof part)) text.append(part, got);
    return text;
  }

  void write(const void* data, size_t size) {
    if (std::fwrite(data, 1, size, file_) != size) fail_to("write", path_);
  }

  // What is written is on its way to the disk only now.
  void close() {
    FILE* file = file_;
    file_ = nullptr;
    if (std::fclose(file) != 0) fail_to("write", path_);
  }

 private:
  std::string path_;
  FILE* file_;
};
