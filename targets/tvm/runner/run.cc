// Runs a compiled network on a board without Python.
//
//   ./run model.so input.npy output.npy --repeat 20    latencies as JSON on standard output
//   ./run model.so --eval clips/ -o logits/            logits of clips that `edgevid pack` wrote
//
// Exit status: 0, 1 for what went wrong (told on standard error), 2 for wrong arguments.

#include <sys/stat.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "board.h"
#include "json.h"
#include "model.h"
#include "npy.h"
#include "sha256.h"

namespace {

const char* usage =
    "usage: run MODEL.so INPUT.npy OUTPUT.npy [--repeat N] [--threads N]\n"
    "       run MODEL.so --eval CLIPS/ -o LOGITS/ [--batch N] [--threads N]\n";

struct Arguments {
  std::vector<std::string> files;
  std::string clips, logits;
  long repeat = 1, threads = 0, batch = 1;
};

struct WrongArguments {
  std::string what;
};

long positive(const std::string& flag, const std::string& text) {
  char* end = nullptr;
  long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value < 1 || value > 1000000)
    throw WrongArguments{flag + " " + text + ": give a number from 1 to 1000000"};
  return value;
}

Arguments parse(int count, char** given) {
  Arguments found;
  for (int i = 1; i < count; ++i) {
    std::string word = given[i];
    if (word.empty() || word[0] != '-') {
      found.files.push_back(word);
      continue;
    }
    if (i + 1 == count) throw WrongArguments{word + " needs a value"};
    std::string value = given[++i];
    if (word == "--repeat") found.repeat = positive(word, value);
    else if (word == "--threads") found.threads = positive(word, value);
    else if (word == "--batch") found.batch = positive(word, value);
    else if (word == "--eval") found.clips = value;
    else if (word == "-o" || word == "--output") found.logits = value;
    else throw WrongArguments{"unknown option " + word};
  }
  if (found.clips.empty() != found.logits.empty()) throw WrongArguments{"--eval and -o belong together"};
  if (found.files.size() != (found.clips.empty() ? 3 : 1)) throw WrongArguments{"wrong number of files"};
  return found;
}

double milliseconds_of(const Model& model, const Array& input, Value* output) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  *output = model.run(input);
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::string written(double number) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", number);
  return text;
}

// The device, and the latencies unless an emulator took them: its time is no latency.
std::string measured(const std::vector<double>& latencies) {
  if (is_emulated())
    return "\"device\": " + quoted("emulated " + board_name()) + ", \"emulated\": true, \"runs\": " +
           std::to_string(latencies.size());
  std::string text = "\"device\": " + quoted(board_name()) + ", \"latency_ms\": [";
  for (size_t i = 0; i < latencies.size(); ++i) text += (i ? ", " : "") + written(latencies[i]);
  return text + "]";
}

void run_file(const Arguments& wanted) {
  Model model(wanted.files[0]);
  File file(wanted.files[1], "rb");
  NpyHeader header = read_npy_header(file);
  Array input(header);
  file.read(input.data(), header.bytes());
  Value output = model.run(input);  // warms up
  write_npy(wanted.files[2], Model::tensor(output));
  std::vector<double> latencies;
  for (long i = 0; i < wanted.repeat; ++i) latencies.push_back(milliseconds_of(model, input, &output));
  std::printf("{%s}\n", measured(latencies).c_str());
}

struct Shard {
  std::string file, sha256;
  int64_t clips;
};

struct Index {
  std::string clips_sha256;
  std::vector<int64_t> shape;
  std::vector<Shard> shards;
};

Index read_index(const std::string& path) {
  const std::string text = File(path, "rb").read_all();
  try {
    const Json json = JsonReader(text).read();
    Index index;
    index.clips_sha256 = json.at("clips_sha256", Json::String).text;
    for (const Json& size : json.at("shape", Json::Array).items) index.shape.push_back(int64_t(size.number));
    for (const Json& shard : json.at("shards", Json::Array).items) {
      const std::string& file = shard.at("file", Json::String).text;
      if (file.find('/') != std::string::npos) fail("a shard outside the folder: " + file);
      const int64_t clips = int64_t(shard.at("clips", Json::Number).number);
      index.shards.push_back({file, shard.at("sha256", Json::String).text, clips});
    }
    return index;
  } catch (const Failure& failure) {
    fail(path + " is damaged: " + failure.what + ": copy the clips again");
  }
}

// Logits of one network, clip after clip.
class Evaluation {
 public:
  Evaluation(const Model& model, const Index& index, long batch) : model_(model), batch_(batch) {
    header_.type = DLDataType{kDLUInt, 8, 1};
    header_.shape = index.shape;
    header_.shape.insert(header_.shape.begin(), batch);
  }

  void add_shard(const std::string& path, const Shard& shard) {
    if (sha256_of(path) != shard.sha256) fail(path + " has changed since it was packed: copy the clips again");
    File file(path, "rb");
    NpyHeader found = read_npy_header(file);
    std::vector<int64_t> wanted = header_.shape;
    wanted[0] = shard.clips;
    if (found.shape != wanted || found.type.code != kDLUInt || found.type.bits != 8)
      fail(path + " holds clips of shape " + told(found.shape) + ", not uint8 " + told(wanted));
    for (int64_t done = 0; done < shard.clips; done += batch_) {
      const int64_t count = shard.clips - done < batch_ ? shard.clips - done : batch_;
      Array input(header_);
      std::memset(input.data(), 0, header_.bytes());  // what fills up the last batch
      file.read(input.data(), size_t(count) * header_.bytes(1));
      add_batch(input, count);
    }
  }

  std::string json(const std::string& clips_sha256) const {
    return "{\"clips_sha256\": " + quoted(clips_sha256) + ",\n" + measured(latencies_) + ",\n\"logits\": [\n" +
           rows_ + "\n]}\n";
  }

 private:
  void add_batch(const Array& input, int64_t count) {
    Value output;
    latencies_.push_back(milliseconds_of(model_, input, &output));
    const DLTensor& logits = Model::tensor(output);
    if (logits.ndim != 2 || logits.dtype.code != kDLFloat || logits.dtype.bits != 32 || logits.shape[0] != batch_)
      fail("the network's output is not float32 [" + std::to_string(batch_) + ", classes]: give its --batch");
    const auto* values = reinterpret_cast<const float*>(static_cast<char*>(logits.data) + logits.byte_offset);
    for (int64_t row = 0; row < count; ++row) {
      rows_ += rows_.empty() ? "[" : ",\n[";
      for (int64_t i = 0; i < logits.shape[1]; ++i) {
        const float value = values[row * logits.shape[1] + i];
        if (!std::isfinite(value)) fail("a logit is not finite");
        rows_ += (i ? ", " : "") + written(double(value));
      }
      rows_ += "]";
    }
  }

  const Model& model_;
  int64_t batch_;
  NpyHeader header_;
  std::vector<double> latencies_;
  std::string rows_;
};

void evaluate(const Arguments& wanted) {
  Model model(wanted.files[0]);
  const Index index = read_index(wanted.clips + "/index.json");
  Evaluation evaluation(model, index, wanted.batch);
  for (const Shard& shard : index.shards) {
    evaluation.add_shard(wanted.clips + "/" + shard.file, shard);
    std::fprintf(stderr, "%s done\n", shard.file.c_str());
  }
  if (mkdir(wanted.logits.c_str(), 0777) != 0 && errno != EEXIST) fail_to("make", wanted.logits);
  const std::string text = evaluation.json(index.clips_sha256);
  File file(wanted.logits + "/logits.json", "wb");
  file.write(text.data(), text.size());
  file.close();
}

}  // namespace

int main(int count, char** given) {
  try {
    const Arguments wanted = parse(count, given);
    // TVM's thread pool reads it when it starts.
    if (wanted.threads) setenv("TVM_NUM_THREADS", std::to_string(wanted.threads).c_str(), 1);
    wanted.clips.empty() ? run_file(wanted) : evaluate(wanted);
    return 0;
  } catch (const WrongArguments& wrong) {
    std::fprintf(stderr, "run: %s\n%s", wrong.what.c_str(), usage);
    return 2;
  } catch (const Failure& failure) {
    std::fprintf(stderr, "run: %s\n", failure.what.c_str());
    return 1;
  }
}
