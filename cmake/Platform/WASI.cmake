# CMake 3.25 does not know this system; without this file it says so at each check.
set(CMAKE_EXECUTABLE_SUFFIX .wasm)
