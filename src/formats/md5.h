// SPDX-License-Identifier: Apache-2.0
// MD5, which the index of converted weights names for each shard (downloaders check it). By libmd.
#pragma once

#include <memory>
#include <string>

#include "support/file.h"

namespace mlc::formats {

class Md5 {
 public:
  Md5();
  ~Md5();
  Md5(Md5&&) noexcept;
  Md5& operator=(Md5&&) noexcept;
  void update(Bytes bytes);
  std::string finish();  // 32 hexadecimal digits; nothing may follow

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mlc::formats
