// Arrays on disk: numpy's .npy, versions 1 to 3, little-endian, in C order.
#pragma once

#include <dlpack/dlpack.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "file.h"

struct NpyHeader {
  DLDataType type;
  std::vector<int64_t> shape;

  size_t bytes(size_t from_axis = 0) const {
    size_t count = size_t(type.bits) / 8;
    for (size_t axis = from_axis; axis < shape.size(); ++axis) count *= size_t(shape[axis]);
    return count;
  }
};

inline std::string told(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t axis = 0; axis < shape.size(); ++axis)
    text += (axis ? ", " : "") + std::to_string(shape[axis]);
  return text + "]";
}

// What stands after "'key':" in the header, which is a Python dictionary of known keys.
inline std::string npy_field(const std::string& header, const std::string& key, const std::string& path) {
  size_t at = header.find("'" + key + "'");
  if (at != std::string::npos) at = header.find(':', at);
  if (at == std::string::npos) fail(path + " is no array: its header has no " + key);
  return header.substr(header.find_first_not_of(" ", at + 1));
}

// Reads the header; the file then stands at the first number.
inline NpyHeader read_npy_header(File& file) {
  uint8_t start[8];
  if (file.read_some(start, 8) != 8 || std::memcmp(start, "\x93NUMPY", 6) != 0 || start[6] < 1 || start[6] > 3)
    fail(file.path() + " is no .npy file");
  uint8_t length[4] = {0, 0, 0, 0};
  file.read(length, start[6] == 1 ? 2 : 4);
  size_t size = length[0] | length[1] << 8 | length[2] << 16 | size_t(length[3]) << 24;
  if (size > 65536) fail(file.path() + " is no array: its header has " + std::to_string(size) + " bytes");
  std::string header(size, ' ');
  file.read(&header[0], size);

  std::string descr = npy_field(header, "descr", file.path());
  std::string name = descr.substr(1, descr.find('\'', 1) - 1);
  NpyHeader found;
  uint8_t kind = name.size() < 3 ? 255
                 : name[1] == 'f' ? uint8_t(kDLFloat)
                 : name[1] == 'i' ? uint8_t(kDLInt)
                 : name[1] == 'u' ? uint8_t(kDLUInt)
                 : name[1] == 'b' ? uint8_t(kDLBool)
                                  : 255;
  int width = name.size() < 3 ? 0 : std::atoi(name.c_str() + 2);
  if (kind == 255 || name[0] == '>' || (width != 1 && width != 2 && width != 4 && width != 8))
    fail(file.path() + " holds numbers of type " + name + ": give little-endian integers or floats");
  found.type = DLDataType{kind, uint8_t(8 * width), 1};
  if (npy_field(header, "fortran_order", file.path()).compare(0, 5, "False") != 0)
    fail(file.path() + " is in Fortran order: save np.ascontiguousarray(x)");
  std::string shape = npy_field(header, "shape", file.path());
  const char* at = shape.c_str() + 1;
  while (*at != ')' && *at != '\0') {
    char* end = nullptr;
    long long value = std::strtoll(at, &end, 10);
    if (end == at || value < 0) fail(file.path() + " is no array: its shape is " + shape);
    found.shape.push_back(value);
    for (at = end; *at == ',' || *at == ' ';) ++at;
  }
  return found;
}

inline void write_npy(const std::string& path, const DLTensor& tensor) {
  NpyHeader header{tensor.dtype, std::vector<int64_t>(tensor.shape, tensor.shape + tensor.ndim)};
  const char* kinds = "iuf";
  if (tensor.dtype.code > kDLFloat && tensor.dtype.code != kDLBool) fail("the output's type has no .npy form");
  char kind = tensor.dtype.code == kDLBool ? 'b' : kinds[tensor.dtype.code];
  std::string text = std::string("{'descr': '") + (tensor.dtype.bits == 8 ? '|' : '<') + kind +
                     std::to_string(tensor.dtype.bits / 8) + "', 'fortran_order': False, 'shape': (";
  for (int64_t size : header.shape) text += std::to_string(size) + ", ";
  text += "), }";
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  File file(path, "wb");
  const char start[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, char(text.size() & 255), char(text.size() >> 8)};
  file.write(start, sizeof start);
  file.write(text.data(), text.size());
  file.write(static_cast<const char*>(tensor.data) + tensor.byte_offset, header.bytes());
  file.close();
}
