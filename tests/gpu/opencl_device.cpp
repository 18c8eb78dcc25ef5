// SPDX-License-Identifier: Apache-2.0
#include "tests/gpu/opencl_device.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <cstdlib>
#include <stdexcept>

#include "support/strings.h"
#include "support/testing.h"

namespace mlc {
namespace {

void check(cl_int status, const char* what) {
  if (status != CL_SUCCESS) throw std::runtime_error(cat(what, " failed with status ", status));
}

// Owns an object of the API.
template <class T, cl_int (*release)(T)>
class Handle {
 public:
  explicit Handle(T value) : value_(value) {}
  Handle(Handle&& other) noexcept : value_(other.value_) { other.value_ = nullptr; }
  Handle(const Handle&) = delete;
  ~Handle() {
    if (value_ != nullptr) release(value_);
  }
  T get() const { return value_; }

 private:
  T value_;
};
using Context = Handle<cl_context, clReleaseContext>;
using Queue = Handle<cl_command_queue, clReleaseCommandQueue>;
using Program = Handle<cl_program, clReleaseProgram>;
using Kernel = Handle<cl_kernel, clReleaseKernel>;
using Memory = Handle<cl_mem, clReleaseMemObject>;

class RealDevice : public OpenClDevice {
 public:
  explicit RealDevice(cl_device_id device)
      : device_(device), context_(make_context(device)), queue_(make_queue()) {}

  std::string name() const override {
    char text[256] = {};
    clGetDeviceInfo(device_, CL_DEVICE_NAME, sizeof text - 1, text, nullptr);
    return text;
  }

  void run(const std::string& source, const std::string& name,
           const std::vector<OpenClArgument>& arguments, int64_t blocks, int64_t threads) override {
    const Program program = build(source);
    cl_int status = 0;
    const Kernel kernel(clCreateKernel(program.get(), name.c_str(), &status));
    check(status, "clCreateKernel");
    std::vector<Memory> buffers;
    cl_uint index = 0;
    for (const OpenClArgument& a : arguments) {
      if (a.bytes.data() == nullptr) {
        const cl_long value = a.size;
        check(clSetKernelArg(kernel.get(), index++, sizeof value, &value),
              "clSetKernelArg of a size");
        continue;
      }
      buffers.emplace_back(clCreateBuffer(context_.get(), CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                          a.bytes.size(), a.bytes.data(), &status));
      check(status, "clCreateBuffer");
      const cl_mem memory = buffers.back().get();
      check(clSetKernelArg(kernel.get(), index++, sizeof memory, &memory),
            "clSetKernelArg of a buffer");
    }
    const auto local = static_cast<size_t>(threads);
    const size_t global = static_cast<size_t>(blocks) * local;
    check(clEnqueueNDRangeKernel(queue_.get(), kernel.get(), 1, nullptr, &global, &local, 0,
                                 nullptr, nullptr),
          "clEnqueueNDRangeKernel");
    check(clFinish(queue_.get()), "clFinish");
    size_t buffer = 0;
    for (const OpenClArgument& a : arguments) {
      if (a.bytes.data() == nullptr) continue;
      check(clEnqueueReadBuffer(queue_.get(), buffers[buffer++].get(), CL_TRUE, 0, a.bytes.size(),
                                a.bytes.data(), 0, nullptr, nullptr),
            "clEnqueueReadBuffer");
    }
  }

 private:
  static Context make_context(cl_device_id device) {
    cl_int status = 0;
    Context context(clCreateContext(nullptr, 1, &device, nullptr, nullptr, &status));
    check(status, "clCreateContext");
    return context;
  }

  Queue make_queue() {
    cl_int status = 0;
    Queue queue(clCreateCommandQueue(context_.get(), device_, 0, &status));
    check(status, "clCreateCommandQueue");
    return queue;
  }

  Program build(const std::string& source) {
    cl_int status = 0;
    const char* text = source.c_str();
    Program program(clCreateProgramWithSource(context_.get(), 1, &text, nullptr, &status));
    check(status, "clCreateProgramWithSource");
    if (clBuildProgram(program.get(), 1, &device_,
                       "-cl-std=CL1.2 -Werror -cl-fp32-correctly-rounded-divide-sqrt", nullptr,
                       nullptr) != CL_SUCCESS) {
      std::string log(1 << 16, '\0');
      size_t bytes = 0;
      clGetProgramBuildInfo(program.get(), device_, CL_PROGRAM_BUILD_LOG, log.size(), log.data(),
                            &bytes);
      log.resize(bytes);
      throw std::runtime_error(cat("the OpenCL compiler refuses\n", source, "\n", log));
    }
    return program;
  }

  cl_device_id device_;
  Context context_;
  Queue queue_;
};

}  // namespace

std::unique_ptr<OpenClDevice> OpenClDevice::open(std::string* why_not) {
  // PoCL ends the process where it cannot read the topology of the machine.
  if (!is_directory("/sys/devices")) {
    *why_not = "/sys is not mounted";
    return nullptr;
  }
  static const TemporaryDirectory cache;  // of compiled kernels: a test starts without any
  setenv("POCL_CACHE_DIR", cache.path().c_str(), 0);
  cl_platform_id platforms[16];
  cl_uint platform_count = 0;
  if (clGetPlatformIDs(16, platforms, &platform_count) != CL_SUCCESS || platform_count == 0) {
    *why_not = "no OpenCL platform was found";
    return nullptr;
  }
  for (cl_uint p = 0; p < std::min(platform_count, 16u); ++p) {
    cl_device_id devices[16];
    cl_uint device_count = 0;
    if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, 16, devices, &device_count) != CL_SUCCESS)
      continue;
    for (cl_uint d = 0; d < std::min(device_count, 16u); ++d) {
      cl_device_fp_config config = 0;
      clGetDeviceInfo(devices[d], CL_DEVICE_SINGLE_FP_CONFIG, sizeof config, &config, nullptr);
      constexpr cl_device_fp_config kExact =
          CL_FP_FMA | CL_FP_DENORM | CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT;
      if ((config & kExact) == kExact) return std::make_unique<RealDevice>(devices[d]);
      *why_not =
          cat("no OpenCL device rounds f32 as IEEE 754 has it (one has CL_DEVICE_SINGLE_FP_CONFIG ",
              config, ")");
    }
  }
  if (why_not->empty()) *why_not = "no OpenCL device was found";
  return nullptr;
}

}  // namespace mlc
