// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "support/process.h"
#include "support/strings.h"

namespace mlc::cli {

namespace {

bool is_terminal(Stream stream) {
  return isatty(stream == Stream::kOutput ? STDOUT_FILENO : STDERR_FILENO) == 1 &&
         environment("TERM").value_or("dumb") != "dumb";
}

const char* escape(Colour colour) {
  switch (colour) {
    case Colour::kPrompt:
      return "\033[1;32m";
    case Colour::kError:
      return "\033[31m";
    case Colour::kNote:
      return "\033[2m";
  }
  return "";
}

}  // namespace

bool has_colours(Stream stream) { return is_terminal(stream) && !environment("NO_COLOR"); }

std::string coloured(Stream stream, Colour colour, std::string_view text) {
  return has_colours(stream) ? cat(escape(colour), text, "\033[0m") : std::string(text);
}

struct Spinner::State {
  std::string text;
  std::mutex mutex;
  std::condition_variable wake;
  bool over = false;
  std::thread thread;

  void run() {
    using std::chrono::milliseconds;
    constexpr const char* kFrames[] = {"|", "/", "-", "\\"};
    const double begin = now_seconds();
    std::unique_lock lock(mutex);
    if (wake.wait_for(lock, milliseconds(500), [&] { return over; })) return;
    for (size_t frame = 0; !over; ++frame) {
      const std::string line =
          coloured(Stream::kError, Colour::kNote,
                   cat(kFrames[frame % 4], " ", text, " ", fixed(now_seconds() - begin, 0), " s"));
      std::fprintf(stderr, "\r%s\033[K", line.c_str());
      std::fflush(stderr);
      wake.wait_for(lock, milliseconds(120), [&] { return over; });
    }
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  }
};

Spinner::Spinner(std::string text) {
  if (!is_terminal(Stream::kError)) return;
  state_ = std::make_unique<State>();
  state_->text = std::move(text);
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Spinner::~Spinner() { stop(); }

void Spinner::stop() {
  if (state_ == nullptr) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->over = true;
  }
  state_->wake.notify_one();
  state_->thread.join();
  state_.reset();
}

}  // namespace mlc::cli
