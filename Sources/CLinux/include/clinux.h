// What Swift cannot see of the C library and the kernel: variadic functions and ioctls, each with the reason.
#pragma once
