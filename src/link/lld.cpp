// SPDX-License-Identifier: Apache-2.0
// LLD in this process. It reads and writes files, so objects pass through a temporary folder
// (MLC_TEMP_DIR).
#include <lld/Common/Driver.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <list>
#include <mutex>

#include "link/link.h"
#include "support/check.h"
#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"
#include "support/unfinished_path.h"

LLD_HAS_DRIVER(elf)

namespace mlc::link {
namespace {

// A folder that goes away with everything in it, also when a signal ends the process.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const std::string base =
        environment("MLC_TEMP_DIR").value_or(environment("TMPDIR").value_or("/tmp"));
    // Remembered before it is made: a signal may come in between.
    static std::atomic<int> serial = 0;
    do {
      path_ = path_join(base, cat("mlc_llm-", process_id(), "-", serial++));
      unfinished_.clear();
      unfinished_.emplace_back(path_);
    } while (mkdir(path_.c_str(), 0700) != 0 && errno == EEXIST);
    if (!is_directory(path_)) {
      throw UserError(base, "no temporary folder can be made there", "",
                      "set MLC_TEMP_DIR to a place where you may write");
    }
  }
  ~TemporaryFolder() {
    const auto names = list_directory(path_);
    if (names.ok()) {
      for (const std::string& name : *names) unlink(file(name).c_str());
    }
    rmdir(path_.c_str());
  }
  std::string file(std::string_view name) {
    unfinished_.emplace_back(path_join(path_, name));
    return path_join(path_, name);
  }

 private:
  std::string path_;
  std::list<UnfinishedPath> unfinished_;
};

}  // namespace

std::string link_shared(std::span<const std::string> objects, const std::string& symbol,
                        const target::Target& target) {
  TemporaryFolder folder;
  std::vector<std::string> arguments = {
      "ld.lld", "-shared",
      // else it writes a temporary file of a name that we do not know
      "--no-mmap-output-file", "-z", "defs", "--gc-sections", "-O2", "--build-id=none",
      "--hash-style=gnu", "-z", "noseparate-code", "-s"};
  if (target.architecture == "aarch64") arguments.insert(arguments.end(), {"-m", "aarch64linux"});
  for (size_t i = 0; i < objects.size(); ++i) {
    const std::string path = folder.file(cat("object", i, ".o"));
    or_throw(write_file(path, objects[i]));
    arguments.push_back(path);
  }
  const std::string exports = folder.file("exports");
  or_throw(write_file(exports, cat("{ global: ", symbol, "; local: *; };\n")));
  const std::string output = folder.file("library");
  arguments.insert(arguments.end(), {cat("--version-script=", exports), "-o", output});
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  static std::mutex mutex;  // LLD has global state
  const std::lock_guard<std::mutex> lock(mutex);
  const lld::Result result = lld::lldMain(argv, stream, stream, {{lld::Gnu, &lld::elf::link}});
  MLC_CHECK(result.retCode == 0 && result.canRunAgain) << "linking failed: " << messages;
  return or_throw(read_file(output));
}

}  // namespace mlc::link
