// SPDX-License-Identifier: Apache-2.0
// The C interface for Python: one class, whose methods are its functions. The GIL is released while
// something computes or is read. JSON stays text: the package's Python reads and writes it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "mlc_llm/mlc_llm.h"

namespace nb = nanobind;

namespace {

// Raises mlc_llm._errors' exception for a status; the message is the program's.
void check(MlcStatus status) {
  if (status == MLC_OK) return;
  const std::string message = mlc_last_error();
  const nb::object raise = nb::module_::import_("mlc_llm._errors").attr("raise_error");
  raise(static_cast<int>(status), message);
}

class Engine {
 public:
  Engine(const std::string& model, const std::optional<std::string>& library,
         const std::string& options) {
    MlcStatus status;
    {
      nb::gil_scoped_release released;
      status = mlc_engine_open(model.c_str(), library ? library->c_str() : nullptr, options.c_str(),
                               &engine_);
    }
    check(status);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() { close(); }

  void close() {
    mlc_engine_close(engine_);
    engine_ = nullptr;
  }
  void configure(const std::string& changes) {
    check(mlc_engine_configure(engine_, changes.c_str()));
  }
  std::string info() {
    const char* json = "";
    check(mlc_engine_info(engine_, &json));
    return json;
  }
  int64_t add(const std::string& request) {
    int64_t id = 0;
    MlcStatus status;
    {
      nb::gil_scoped_release released;
      status = mlc_engine_add(engine_, request.c_str(), &id);
    }
    check(status);
    return id;
  }
  void cancel(int64_t request) { mlc_engine_cancel(engine_, request); }
  bool step() {
    int32_t more = 0;
    MlcStatus status;
    {
      nb::gil_scoped_release released;
      status = mlc_engine_step(engine_, &more);
    }
    check(status);
    return more != 0;
  }
  std::string take_outputs() {
    const char* json = "";
    check(mlc_engine_take_outputs(engine_, &json));
    return json;
  }
  void forget() { check(mlc_engine_forget(engine_)); }
  std::string metrics() {
    const char* text = "";
    check(mlc_engine_metrics(engine_, &text));
    return text;
  }
  std::vector<int32_t> prompt(const std::string& request) {
    const int32_t* ids = nullptr;
    int64_t count = 0;
    check(mlc_engine_prompt(engine_, request.c_str(), &ids, &count));
    return {ids, ids + count};
  }
  std::vector<int32_t> encode(const std::string& text, bool add_special) {
    const int32_t* ids = nullptr;
    int64_t count = 0;
    check(mlc_engine_encode(engine_, text.data(), static_cast<int64_t>(text.size()), add_special,
                            &ids, &count));
    return {ids, ids + count};
  }
  std::string decode(const std::vector<int32_t>& ids, bool skip_special) {
    static const int32_t none = 0;
    const char* text = "";
    int64_t bytes = 0;
    check(mlc_engine_decode(engine_, ids.empty() ? &none : ids.data(),
                            static_cast<int64_t>(ids.size()), skip_special, &text, &bytes));
    return std::string(text, static_cast<size_t>(bytes));
  }

  // The array owns the memory that the model's logits were written to: numpy gets it as it is.
  nb::ndarray<nb::numpy, float, nb::ndim<2>> logits(const std::vector<int32_t>& ids, bool all) {
    static const int32_t none = 0;
    const size_t rows = all ? ids.size() : 1;
    const auto vocab = static_cast<size_t>(mlc_engine_vocab_size(engine_));
    auto* data = new float[rows * vocab];
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<float*>(p); });
    MlcStatus status;
    {
      nb::gil_scoped_release released;
      status = mlc_engine_logits(engine_, ids.empty() ? &none : ids.data(),
                                 static_cast<int64_t>(ids.size()),
                                 all ? MLC_ALL_ROWS : MLC_LAST_ROW, data);
    }
    check(status);
    return nb::ndarray<nb::numpy, float, nb::ndim<2>>(data, {rows, vocab}, owner);
  }

  int64_t hidden_size() const { return mlc_engine_hidden_size(engine_); }

  // Vectors as mlc_engine_vectors() has them. A memoryview, so that numpy is not needed; an array
  // that numpy makes of it is the same memory.
  nb::ndarray<nb::memview, float, nb::ndim<2>> vectors(const std::vector<int32_t>& ids, int what) {
    static const int32_t none = 0;
    const size_t rows = what == MLC_EMBEDDING ? 1 : ids.size();
    const auto width = static_cast<size_t>(mlc_engine_hidden_size(engine_));
    auto* data = new float[rows * width];
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<float*>(p); });
    MlcStatus status;
    {
      nb::gil_scoped_release released;
      status =
          mlc_engine_vectors(engine_, ids.empty() ? &none : ids.data(),
                             static_cast<int64_t>(ids.size()), static_cast<MlcVectors>(what), data);
    }
    check(status);
    return nb::ndarray<nb::memview, float, nb::ndim<2>>(data, {rows, width}, owner);
  }

 private:
  MlcEngine* engine_ = nullptr;
};

}  // namespace

NB_MODULE(_native, module) {
  module.attr("__version__") = mlc_version();
  nb::class_<Engine>(module, "Engine")
      .def(nb::init<const std::string&, const std::optional<std::string>&, const std::string&>(),
           nb::arg("model"), nb::arg("library").none(), nb::arg("options"))
      .def("close", &Engine::close)
      .def("configure", &Engine::configure)
      .def("info", &Engine::info)
      .def("add", &Engine::add)
      .def("cancel", &Engine::cancel)
      .def("step", &Engine::step)
      .def("take_outputs", &Engine::take_outputs)
      .def("forget", &Engine::forget)
      .def("metrics", &Engine::metrics)
      .def("prompt", &Engine::prompt)
      .def("encode", &Engine::encode)
      .def("decode", &Engine::decode)
      .def("logits", &Engine::logits)
      .def("hidden_size", &Engine::hidden_size)
      .def("vectors", &Engine::vectors);
  module.attr("TOKEN_VECTORS") = static_cast<int>(MLC_TOKEN_VECTORS);
  module.attr("HIDDEN_STATES") = static_cast<int>(MLC_HIDDEN_STATES);
  module.attr("EMBEDDING") = static_cast<int>(MLC_EMBEDDING);
}
