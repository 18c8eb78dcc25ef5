// SPDX-License-Identifier: Apache-2.0
#include "formats/md5.h"

#include <sys/types.h>
// libmd's header follows, it needs the types above.
#include <md5.h>

namespace mlc::formats {

struct Md5::State {
  MD5_CTX context;
};

Md5::Md5() : state_(std::make_unique<State>()) { MD5Init(&state_->context); }
Md5::~Md5() = default;
Md5::Md5(Md5&&) noexcept = default;
Md5& Md5::operator=(Md5&&) noexcept = default;

void Md5::update(Bytes bytes) {
  MD5Update(&state_->context, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

std::string Md5::finish() {
  char text[MD5_DIGEST_STRING_LENGTH];
  MD5End(&state_->context, text);
  return text;
}

}  // namespace mlc::formats
