import Glibc

/// Lets what was printed appear at once, also where output goes to a file or a pipe.
func flushOutput() { fflush(nil) }
