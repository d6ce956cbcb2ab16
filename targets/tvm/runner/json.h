// JSON (RFC 8259), as far as an index of packed clips needs it: numbers are doubles, and escapes of
// characters beyond ASCII become "?".
#pragma once

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "failure.h"

struct Json {
  enum Kind { Null, Bool, Number, String, Array, Object } kind = Null;
  double number = 0;
  std::string text;
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> members;

  // The member of that name, which must be of that kind.
  const Json& at(const std::string& name, Kind wanted) const {
    for (const auto& member : members)
      if (member.first == name) {
        if (member.second.kind != wanted) fail("\"" + name + "\" is of the wrong kind");
        return member.second;
      }
    fail("there is no \"" + name + "\"");
  }
};

class JsonReader {
 public:
  explicit JsonReader(std::string text) : text_(std::move(text)) {}

  Json read() {
    Json value = read_value(0);
    skip_space();
    if (at_ != text_.size()) bad();
    return value;
  }

 private:
  [[noreturn]] void bad() const { fail("not JSON at byte " + std::to_string(at_)); }

  char next() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (next() == ' ' || next() == '\n' || next() == '\r' || next() == '\t') ++at_;
  }

  bool take(char wanted) {
    skip_space();
    if (next() != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) bad();
  }

  bool take_word(const char* word) {
    std::string wanted = word;
    if (text_.compare(at_, wanted.size(), wanted) != 0) return false;
    at_ += wanted.size();
    return true;
  }

  Json read_value(int depth) {
    if (depth > 100) bad();
    Json value;
    skip_space();
    if (next() == '"') {
      value.kind = Json::String;
      value.text = read_string();
    } else if (take('[')) {
      value.kind = Json::Array;
      if (take(']')) return value;
      do value.items.push_back(read_value(depth + 1));
      while (take(','));
      expect(']');
    } else if (take('{')) {
      value.kind = Json::Object;
      if (take('}')) return value;
      do {
        skip_space();
        std::string name = read_string();
        expect(':');
        value.members.emplace_back(std::move(name), read_value(depth + 1));
      } while (take(','));
      expect('}');
    } else if (take_word("true") || take_word("false")) {
      value.kind = Json::Bool;
    } else if (!take_word("null")) {
      char* end = nullptr;
      value.kind = Json::Number;
      value.number = std::strtod(text_.c_str() + at_, &end);
      if (end == text_.c_str() + at_) bad();
      at_ = size_t(end - text_.c_str());
    }
    return value;
  }

  std::string read_string() {
    std::string found;
    if (next() != '"') bad();
    for (++at_; next() != '"'; ++at_) {
      if (at_ >= text_.size()) bad();
      if (next() != '\\') {
        found += next();
        continue;
      }
      ++at_;
      static const std::string escapes = "\"\\/bfnrt", plain = "\"\\/\b\f\n\r\t";
      size_t which = escapes.find(next());
      if (next() == 'u') {
        unsigned long code = std::strtoul(text_.substr(at_ + 1, 4).c_str(), nullptr, 16);
        found += code < 128 ? char(code) : '?';
        at_ += 4;
      } else if (next() == '\0' || which == std::string::npos) {
        bad();
      } else {
        found += plain[which];
      }
    }
    ++at_;
    return found;
  }

  const std::string text_;
  size_t at_ = 0;
};
