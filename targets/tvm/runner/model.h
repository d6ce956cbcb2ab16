// A compiled network behind TVM's C interface (tvm/ffi/c_api.h), which no C++ library stands between.
#pragma once

#include <dlpack/dlpack.h>
#include <tvm/ffi/c_api.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "failure.h"
#include "json.h"
#include "npy.h"

// A value of TVM that this program owns.
class Value {
 public:
  Value() : any_{} {}
  explicit Value(const TVMFFIAny& any) : any_(any) {}
  Value(Value&& other) noexcept : any_(other.any_) { other.any_ = TVMFFIAny{}; }
  Value& operator=(Value&& other) noexcept {
    std::swap(any_, other.any_);
    return *this;
  }
  ~Value() {
    if (any_.type_index >= kTVMFFIStaticObjectBegin) TVMFFIObjectDecRef(any_.v_obj);
  }

  const TVMFFIAny& any() const { return any_; }
  bool is(int32_t type) const { return any_.type_index == type; }

  // Raises unless it is an object of that type.
  void* object(int32_t type, const std::string& what) const {
    if (!is(type)) fail(what);
    return any_.v_obj;
  }

 private:
  TVMFFIAny any_;
};

inline TVMFFIAny integer(int64_t number) {
  TVMFFIAny any{};
  any.type_index = kTVMFFIInt;
  any.v_int64 = number;
  return any;
}

inline TVMFFIAny words(const char* text) {
  TVMFFIAny any{};
  any.type_index = kTVMFFIRawStr;
  any.v_c_str = text;
  return any;
}

[[noreturn]] inline void fail_with_tvm(const std::string& doing) {
  void* error = nullptr;
  TVMFFIErrorMoveFromRaised(&error);
  std::string message = "TVM does not say why";
  if (error != nullptr) {
    auto* cell = reinterpret_cast<TVMFFIErrorCell*>(static_cast<char*>(error) + sizeof(TVMFFIObject));
    message.assign(cell->message.data, cell->message.size);
    TVMFFIObjectDecRef(error);
  }
  fail(doing + ": " + message);
}

inline Value call(const Value& function, std::vector<TVMFFIAny> arguments, const std::string& doing) {
  TVMFFIAny result{};
  void* handle = function.object(kTVMFFIFunction, doing + ": TVM's runtime lacks this function");
  if (TVMFFIFunctionCall(handle, arguments.data(), int32_t(arguments.size()), &result) != 0)
    fail_with_tvm(doing);
  return Value(result);
}

inline Value global_function(const std::string& name) {
  TVMFFIByteArray key{name.data(), name.size()};
  TVMFFIAny any{};
  void* handle = nullptr;
  if (TVMFFIFunctionGetGlobal(&key, &handle) != 0) fail_with_tvm("finding " + name);
  if (handle == nullptr) fail("TVM's runtime has no " + name + ": take the libraries of the bundle");
  any.type_index = kTVMFFIFunction;
  any.v_obj = static_cast<TVMFFIObject*>(handle);
  return Value(any);
}

// None where the module and those that it imports have no such function.
inline Value function_of(const Value& module, const char* name, const std::string& doing) {
  static Value get = global_function("ffi.ModuleGetFunction");
  TVMFFIAny imports_too = integer(1);
  imports_too.type_index = kTVMFFIBool;
  return call(get, {module.any(), words(name), imports_too}, doing);
}

inline std::string text_of(const Value& value) {
  const TVMFFIAny& any = value.any();
  if (value.is(kTVMFFISmallStr)) return std::string(any.v_bytes, any.small_str_len);
  void* object = value.object(kTVMFFIStr, "TVM returned no text");
  auto* bytes = reinterpret_cast<TVMFFIByteArray*>(static_cast<char*>(object) + sizeof(TVMFFIObject));
  return std::string(bytes->data, bytes->size);
}

// An array whose memory TVM frees with its last reference.
class Array {
 public:
  explicit Array(const NpyHeader& header) {
    auto* made = static_cast<Memory*>(std::calloc(1, sizeof(Memory)));
    const size_t bytes = (header.bytes() + 63) / 64 * 64, axes = header.shape.size();
    made->shape = static_cast<int64_t*>(std::malloc((axes + 1) * sizeof(int64_t)));
    void* data = std::aligned_alloc(64, bytes ? bytes : 64);
    if (data == nullptr) fail("no memory for an array of shape " + told(header.shape));
    for (size_t axis = 0; axis < axes; ++axis) made->shape[axis] = header.shape[axis];
    made->managed.dl_tensor = {data, {kDLCPU, 0}, int32_t(axes), header.type, made->shape, nullptr, 0};
    made->managed.manager_ctx = made;
    made->managed.deleter = [](DLManagedTensor* self) {
      auto* memory = static_cast<Memory*>(self->manager_ctx);
      std::free(self->dl_tensor.data);
      std::free(memory->shape);
      std::free(memory);
    };
    void* handle = nullptr;
    if (TVMFFITensorFromDLPack(&made->managed, 64, 0, &handle) != 0) fail_with_tvm("making the input");
    TVMFFIAny any{};
    any.type_index = kTVMFFITensor;
    any.v_obj = static_cast<TVMFFIObject*>(handle);
    value_ = Value(any);
    data_ = static_cast<char*>(data);
  }

  const Value& value() const { return value_; }
  char* data() const { return data_; }

 private:
  struct Memory {
    DLManagedTensor managed;
    int64_t* shape;
  };
  Value value_;
  char* data_;
};

class Model {
 public:
  explicit Model(const std::string& path) {
    // A name without a slash would be looked for among the system's libraries.
    const std::string place = path.find('/') == std::string::npos ? "./" + path : path;
    File(place, "rb");
    Value load = global_function("ffi.ModuleLoadFromFile");
    library_ = call(load, {words(place.c_str())}, "loading " + path);
    Value start = function_of(library_, "vm_load_executable", "loading " + path);
    if (!start.is(kTVMFFIFunction)) fail(path + " is no compiled network: it has no vm_load_executable");
    refuse_other_processor(path);
    machine_ = call(start, {}, "loading " + path);
    const int64_t pooled = 2;
    call(function_of(machine_, "vm_initialization", "starting TVM's virtual machine"),
         {integer(kDLCPU), integer(0), integer(pooled)}, "starting TVM's virtual machine");
    main_ = function_of(machine_, "main", "loading " + path);
    if (!main_.is(kTVMFFIFunction)) fail(path + " has no function `main`");
  }

  // The only output; valid as long as the value lives.
  Value run(const Array& input) const {
    Value output = call(main_, {input.value().any()}, "running the network");
    output.object(kTVMFFITensor, "the network returned no single tensor");
    return output;
  }

  // What the network was compiled for and the processor lacks would be an illegal instruction.
  void refuse_other_processor(const std::string& path) const {
    const Value probe = function_of(library_, "edgevid_board", "loading " + path);
    if (!probe.is(kTVMFFIFunction)) return;
    const Json told = JsonReader(text_of(call(probe, {}, "looking at the processor"))).read();
    const std::string& missing = told.at("missing", Json::String).text;
    if (!missing.empty())
      fail("this processor lacks " + missing + ", which " + path + " was compiled for: compile for its own");
  }

  static const DLTensor& tensor(const Value& value) {
    return *reinterpret_cast<const DLTensor*>(reinterpret_cast<const char*>(value.any().v_obj) +
                                              sizeof(TVMFFIObject));
  }

 private:
  Value library_, machine_, main_;
};
