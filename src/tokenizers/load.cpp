// SPDX-License-Identifier: Apache-2.0
// Which files of a directory make the tokenizer.
#include "support/file.h"
#include "support/strings.h"
#include "tokenizers/tokenizer.h"

namespace mlc::tokenizers {

namespace {

Result<std::unique_ptr<Tokenizer>> load_json(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const Bytes bytes = file.bytes();
  return tokenizer_from_json_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                  path);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& directory_or_file) {
  if (!is_directory(directory_or_file)) return load_json(directory_or_file);
  const std::string json = path_join(directory_or_file, "tokenizer.json");
  if (file_exists(json)) return load_json(json);
  return user_error(directory_or_file, "has no tokenizer", "tokenizer.json",
                    "copy it from the model's folder");
}

}  // namespace mlc::tokenizers
