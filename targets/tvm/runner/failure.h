// What the runner throws: what happened, where, and nothing that needs a newer libstdc++.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>

struct Failure {
  std::string what;
};

[[noreturn]] inline void fail(const std::string& what) { throw Failure{what}; }

[[noreturn]] inline void fail_to(const std::string& verb, const std::string& path) {
  fail("cannot " + verb + " " + path + ": " + std::strerror(errno));
}
